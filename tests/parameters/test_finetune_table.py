"""Fine-tuning as a build does it: judged by rows that no start has seen, and scored as the child was before."""

from dataclasses import fields, replace

import numpy as np
import pytest
from sklearn.metrics import log_loss, mean_squared_error

from modelgpt_edge.child import Units
from modelgpt_edge.data.table import Rows, Table
from modelgpt_edge.parameters import evidence
from modelgpt_edge.parameters.corrector import SHIPPED, Corrector
from modelgpt_edge.parameters.evidence import split_folds
from modelgpt_edge.parameters.finetune_table import finetune_table, regenerator
from modelgpt_edge.parameters.generate import generate, score_rows
from modelgpt_edge.parameters.prepare import Standard, encode, targets_of
from modelgpt_edge.schema import Column, Schema

LONG = 60.0  # seconds that patience ends long before


@pytest.fixture(autouse=True)
def _one_repetition(monkeypatch):
    """How sure the untuned score is isn't the point here."""
    monkeypatch.setattr(evidence, "repeats_for", lambda *_: 1)


def rows_of(count, classes, seed=4):
    """Rows of two numbers whose product decides."""
    drawn = np.random.default_rng(seed).normal(size=(3, count))
    signal = drawn[0] * drawn[1] + 0.2 * drawn[2]
    numbers = {"a": drawn[0].astype(np.float32), "b": drawn[1].astype(np.float32)}
    if not classes:
        return Rows(numbers, {}, 5_000 + 100 * signal)
    return Rows(numbers, {}, np.digitize(signal, np.arange(1, classes) - classes / 2).astype(np.int32))


def table_of(rows, classes, held=None):
    kind = "classification" if classes else "regression"
    names = tuple(f"k{i}" for i in range(classes))
    schema = Schema((Column("a", "number"), Column("b", "number")), Column("y", "category"), "", kind, "", names)
    return Table(schema, len(rows), rows, held, (), None, None)


def standard_of(rows, classes):
    return Standard(0.0, 1.0) if classes else Standard.of(np.asarray(rows.labels, np.float64))


def loss_of(child, rows, standard):
    """Log loss, or squared error in units of the table's variance, by scikit-learn."""
    outputs = child.outputs(encode(child.encoder, rows)).astype(np.float64)
    if child.classes:
        return log_loss(rows.labels, outputs / outputs.sum(1, keepdims=True), labels=range(len(child.classes)))
    return mean_squared_error(rows.labels, outputs[:, 0]) / standard.deviation**2


def arrays_of(child):
    return [*(getattr(child.units, f.name) for f in fields(Units)), child.head_weight, child.head_bias]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(arrays_of(one), arrays_of(other), strict=True))


@pytest.fixture(scope="module")
def made():
    """By number of classes: the table, the child as generated, and the same fine-tuned."""
    found = {}
    for classes in (0, 2, 5):
        table = table_of(rows_of(200, classes), classes)
        found[classes] = (
            table,
            *(generate(table, (80,), 2, seed=0, generator="floor", finetune=seconds) for seconds in (0.0, LONG)),
        )
    return found


@pytest.mark.parametrize("classes", [0, 2, 5])
def test_the_tuned_child_ships_and_the_score_stays_that_of_before(made, classes):
    _, plain, tuned = made[classes]
    assert plain.finetuned is None
    assert not tuned.finetuned.kept
    assert tuned.finetuned.child is tuned.child
    assert tuned.finetuned.seconds == LONG
    assert tuned.finetuned.after < tuned.finetuned.before
    assert not same(plain.child, tuned.child)
    assert tuned.child.units.counts == plain.child.units.counts
    assert np.array_equal(plain.held_out, tuned.held_out)
    before, after = plain.scores.child, tuned.scores.child
    assert after.method == f"{before.method}, before fine-tuning"
    assert replace(after, method=before.method) == before
    assert {tuned.scores.linear.method, tuned.scores.baseline.method} == {after.method}


@pytest.mark.parametrize("classes", [0, 2, 5])
def test_the_gates_reference_is_of_the_tuned_child(made, classes):
    table, plain, tuned = made[classes]
    outputs = tuned.child.outputs(encode(tuned.child.encoder, table.sample))[: len(tuned.unfused)]
    unit = 1 if classes else table.sample.labels.std()
    assert np.abs(outputs - tuned.unfused).max() < 1e-5 * unit
    assert np.abs(plain.unfused - tuned.unfused).max() > 1e-3 * unit


@pytest.mark.parametrize("classes", [0, 2, 5])
def test_the_loss_before_is_that_of_a_child_of_the_other_rows(made, classes):
    """By scikit-learn on the fifth that judges."""
    table, plain, tuned = made[classes]
    standard = standard_of(table.sample, classes)
    held = split_folds(targets_of(table.sample.labels, standard, plain.child.classes), np.random.default_rng(0)) == 0
    probe = regenerator(plain.child, plain.blend, table, standard, seed=0)(np.flatnonzero(~held))
    assert tuned.finetuned.before == pytest.approx(loss_of(probe, table.sample.take(held), standard), rel=1e-4)
    assert loss_of(plain.child, table.sample.take(held), standard) < 0.9 * tuned.finetuned.before, "it has seen them"


@pytest.mark.parametrize(("units", "classes"), [(0, 2), (40, 0), (40, 3), (640, 2), (1280, 2)])
def test_the_second_child_is_as_large_and_sees_its_own_rows_alone(units, classes):
    rows = rows_of(120, classes)
    table, standard = table_of(rows, classes), standard_of(rows, classes)
    whole = generate(table, (units,), 2, seed=0, generator="floor" if units else "linear")
    mine, others = np.arange(90), np.arange(90, 120)
    changed = Rows({n: v.copy() for n, v in rows.numbers.items()}, {}, rows.labels.copy())
    for column in changed.numbers.values():
        column[others] = 7
    changed.labels[others] = changed.labels[others][::-1] if classes else -9_000
    one, two = (regenerator(whole.child, whole.blend, t, standard, 0)(mine) for t in (table, replace(table, sample=changed)))
    assert same(one, two)
    assert one.units.count == whole.child.units.count == units
    assert one.units.counts == whole.child.units.counts
    assert one.encoder is whole.child.encoder
    assert loss_of(one, rows.take(mine), standard) < loss_of(whole.child, rows.take(mine), standard) + 0.3


@pytest.mark.parametrize("classes", [0, 2])
def test_held_rows_of_a_large_table_judge_the_child_itself(made, classes):
    table, plain, _ = made[classes]
    standard, held = standard_of(table.sample, classes), rows_of(150, classes, seed=9)
    found = finetune_table(plain.child, plain.blend, replace(table, held=held), standard, LONG, 0)
    assert found.before == pytest.approx(loss_of(plain.child, held, standard), rel=1e-4)
    assert not found.kept
    assert found.after < found.before
    # The steps that were judged are those that ship: so is their loss.
    assert found.after == pytest.approx(loss_of(found.child, held, standard), rel=1e-4)


def test_rows_that_gain_nothing_keep_the_child():
    rng = np.random.default_rng(3)
    rows = Rows({n: rng.normal(size=60).astype(np.float32) for n in "ab"}, {}, rng.integers(0, 2, 60).astype(np.int32))
    plain, tuned = (generate(table_of(rows, 2), (40,), 1, 0, generator="floor", finetune=s) for s in (0.0, LONG))
    assert tuned.finetuned.kept
    assert tuned.finetuned.steps == 0
    assert tuned.finetuned.after == tuned.finetuned.before
    assert same(tuned.child, plain.child)
    assert np.array_equal(tuned.unfused, plain.unfused)
    assert tuned.scores == plain.scores


def test_too_little_time_keeps_the_child_and_has_no_loss_to_tell():
    made = generate(table_of(rows_of(60, 2), 2), (40,), 1, 0, finetune=1e-9)
    assert made.finetuned.kept
    figures = made.finetuned.to_json()
    assert figures.pop("before") == pytest.approx(made.finetuned.before)
    assert figures == {"seconds": 1e-9, "steps": 0, "after": None, "kept": True}


def test_the_linear_child_is_tuned_too_and_its_score_on_other_rows_is_real():
    table = table_of(rows_of(200, 2, seed=6), 2)
    made = generate(table, (0,), 1, 0, generator="linear", finetune=LONG)
    assert made.generator == "linear"
    assert not made.finetuned.kept
    assert not same(made.child, made.linear)
    fresh = rows_of(300, 2, seed=7)
    scores = score_rows(made, fresh, "fresh")
    assert scores.child.others["log_loss"] == pytest.approx(loss_of(made.child, fresh, Standard(0.0, 1.0)), rel=1e-4)
    assert scores.child.others["log_loss"] != scores.linear.others["log_loss"]


def test_the_second_child_of_the_trained_generator_is_corrected_too():
    rows = rows_of(120, 2)
    table = table_of(rows, 2)
    whole = generate(table, (40,), 1, 0, generator="trained")
    corrected, floor = (
        regenerator(whole.child, whole.blend, table, Standard(0.0, 1.0), 0, corrector)(np.arange(90))
        for corrector in (Corrector.read(SHIPPED), None)
    )
    assert not same(corrected, floor)
    assert corrected.units.counts == floor.units.counts == whole.child.units.counts


def test_the_share_of_the_time_moves():
    told = []
    generate(table_of(rows_of(200, 2), 2), (40,), 1, 0, lambda *said: told.append(said), finetune=LONG)
    shares = [share for stage, share in told if stage == "fine-tuning"]
    assert len(set(shares)) > 5
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] <= 1
    assert [stage for stage, _ in told][-1] == "fine-tuning"


@pytest.mark.parametrize("classes", [0, 2, 3])
@pytest.mark.parametrize("count", [2, 3, 5, 10])
def test_tables_of_few_rows_do_not_fail(count, classes):
    rows = rows_of(count, 0)
    if classes:
        rows = Rows(rows.numbers, {}, (np.arange(count) % classes).astype(np.int32))
    for units in ((20,), (0,)):
        made = generate(table_of(rows, classes), units, 1, 0, generator="floor" if units[0] else "linear", finetune=0.3)
        assert np.isfinite(made.child.outputs(encode(made.child.encoder, rows))).all()
        assert np.isfinite(made.unfused).all()
        assert made.finetuned.kept or made.finetuned.after < made.finetuned.before


def test_one_column_and_many_classes():
    rng = np.random.default_rng(0)
    labels = (np.arange(240) % 60).astype(np.int32)
    rows = Rows({"a": (labels + 0.3 * rng.normal(size=240)).astype(np.float32), "b": np.zeros(240, np.float32)}, {}, labels)
    made = generate(table_of(rows, 60), (40,), 1, 0, generator="floor", finetune=1.0)
    outputs = made.child.outputs(encode(made.child.encoder, rows))
    assert outputs.shape == (240, 60)
    assert np.allclose(outputs.sum(1), 1, atol=1e-5)
