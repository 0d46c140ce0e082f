"""Weights without evidence: the build's own where its blend is given, and a child for columns that were encoded elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from modelgpt_edge.child_file import child_bytes
from modelgpt_edge.data.profile import profile
from modelgpt_edge.data.sources import open_source
from modelgpt_edge.data.table import open_table
from modelgpt_edge.errors import InputError
from modelgpt_edge.parameters.generate import generate
from modelgpt_edge.parameters.quick import begin_child, emit_encoded, finish, solve
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.rules import write_requirement


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1, "blas"):
        yield


def _emit(*asked, **options):
    """The three steps, one after the other."""
    begun = begin_child(*asked, **options)
    return finish(begun, solve(begun))


def _table(rows, task: str, label: str):
    source = open_source(rows)
    facts = profile(source, 0)
    return open_table(source, facts, write_requirement(Request(task, rows, label), facts).schema)


@pytest.mark.usefixtures("one_repeat")
@pytest.mark.parametrize("label", ["outcome", "weight"])
@pytest.mark.parametrize(("generator", "units", "draws"), [("floor", (40,), 1), ("floor", (640, 1280), 2), ("linear", (0,), 1)])
def test_with_a_builds_blend_it_is_the_builds_child_to_the_bit(generator, units, draws, label, patients):
    table = _table(patients, f"predict the {label}", label)
    made = generate(table, units, draws, 3, generator=generator)
    assert child_bytes(_emit(table, units, draws, 3, generator, made.blend)) == child_bytes(made.child)


@pytest.mark.usefixtures("one_repeat")
def test_the_encoder_of_another_table_is_kept(patients):
    old = _emit(_table(patients[:30], "predict the outcome", "outcome"), (20,), 1, 0)
    new = _emit(_table(patients[30:], "predict the outcome", "outcome"), (20,), 1, 0, encoder=old.encoder)
    assert new.encoder is old.encoder
    assert not np.array_equal(new.head_weight, old.head_weight)


def _moons(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 5)).astype(np.float32)
    return x, (x[:, 0] * x[:, 1] > 0).astype(int)


def test_encoded_columns_give_a_child_that_beats_logistic_regression_on_fresh_rows():
    x, y = _moons(0, 400)
    fresh, truth = _moons(1, 2000)
    child = emit_encoded(x, np.eye(2, dtype=np.float32)[y], range(5), (640,), 1, 0)
    assert child.units.count == 640
    ours = (child.scores(fresh).argmax(1) == truth).mean()
    linear = LogisticRegression().fit(x, y).score(fresh, truth)
    assert ours > linear + 0.2


def test_encoded_values_are_met():
    x, _ = _moons(0, 300)
    value = np.sin(2 * x[:, :1])
    value = ((value - value.mean()) / value.std()).astype(np.float32)
    child = emit_encoded(x, value, range(5), (640,), 1, 0)
    fresh, _ = _moons(1, 500)
    wanted = np.sin(2 * fresh[:, 0])
    assert np.corrcoef(child.scores(fresh)[:, 0], wanted)[0, 1] > 0.95


def test_the_linear_model_has_no_units_and_owners_may_be_given():
    x, y = _moons(0, 60)
    targets = np.eye(2, dtype=np.float32)[y]
    assert emit_encoded(x, targets, range(5), (0,), 1, 0).units.count == 0
    apart = emit_encoded(x, targets, range(5), (20,), 1, 0)
    together = emit_encoded(x, targets, [0, 0, 1, 1, 1], (20,), 1, 0)
    assert not np.array_equal(apart.head_weight, together.head_weight), "crossed rows must keep a column's parts together"
    with pytest.raises(InputError, match="owners"):
        emit_encoded(x, targets, range(4), (20,), 1, 0)
