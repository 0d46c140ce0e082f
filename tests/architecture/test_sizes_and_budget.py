"""Sizes of the template: the estimate against real artefacts, and the choice under a flash limit."""

import itertools

import numpy as np
import pytest

from modelgpt_edge.architecture.architecture import SIZES, candidates, choose_architecture, estimate_bytes
from modelgpt_edge.compile.graph import packed_graph
from modelgpt_edge.data.table import Rows
from modelgpt_edge.errors import BudgetError
from modelgpt_edge.parameters.blend import Blend
from modelgpt_edge.parameters.evidence import emit_all
from modelgpt_edge.parameters.floor import fuse
from modelgpt_edge.parameters.prepare import Standard, classification_targets
from modelgpt_edge.parameters.units import Widths
from modelgpt_edge.requirement.requirement import Limits, Requirement
from modelgpt_edge.schema import Column, Schema


def width_of(schema: Schema) -> int:
    """Encoded columns of a schema: a value and a rank twin a number, eight words a word column."""
    return 2 * len(schema.numbers) + 8 * len(schema.words)


def schema_of(numbers, words=0, classes=2):
    columns = (*(Column(f"c{i}", "number") for i in range(numbers)), *(Column(f"w{i}", "category") for i in range(words)))
    kind = "classification" if classes else "regression"
    return Schema(columns, Column("y", "category"), "", kind, "", tuple(f"k{i}" for i in range(classes)))


def requirement_of(schema, flash=None):
    return Requirement("do it", "table", schema, Limits(flash_bytes=flash), ("x86",), None, (), "rules")


def artefact_bytes(schema, units, draws):
    """Bytes of the fp32 artefact of a child that was really emitted for such a table."""
    rng = np.random.default_rng(0)
    count, classes = 120, len(schema.classes)
    numbers = {c.name: rng.normal(size=count).astype(np.float32) for c in schema.numbers}
    words = {c.name: np.array([f"v{i}" for i in rng.integers(0, 8, count)], object) for c in schema.words}
    labels = (np.arange(count) % max(2, classes)).astype(np.int32)
    targets = classification_targets(labels, classes) if classes else Standard.of(labels).targets(labels)
    emissions = emit_all(
        Rows(numbers, words, labels), targets, schema, Widths().scaled(units), max(1, draws), np.random.default_rng(0)
    )
    weights = Blend(0.5 if classes else 1.0, 0.0 if units else 1.0, 1.0, 0.0).weights(2 if classes else 1)
    return len(packed_graph(fuse(emissions, weights, Standard(0.0, 1.0), schema.classes), "0").SerializeToString())


SHAPES = [
    (30, 0, 3, 640, 4), (30, 0, 3, 640, 1), (5, 3, 2, 640, 2), (60, 0, 10, 320, 1), (10, 0, 0, 320, 1),
    (3, 6, 2, 640, 1),
]  # fmt: skip
SMALL = [(13, 0, 2, 80, 1), (8, 5, 2, 40, 1), (4, 0, 2, 20, 1), (30, 0, 3, 0, 0)]


@pytest.mark.parametrize(("numbers", "words", "classes", "units", "draws"), [*SHAPES, *SMALL])
def test_the_estimate_is_within_a_third_of_the_artefact(numbers, words, classes, units, draws):
    schema = schema_of(numbers, words, classes)
    assert estimate_bytes(schema, width_of(schema), units, draws) == pytest.approx(
        artefact_bytes(schema, units, draws), rel=0.35
    )


def test_without_a_limit_the_most_accurate_size_is_chosen():
    schema = schema_of(10)
    chosen = choose_architecture(requirement_of(schema), width_of(schema), 4)
    assert (chosen.template, chosen.units, chosen.draws) == ("mlp", 640, 4)
    assert chosen.bytes == estimate_bytes(schema, width_of(schema), 640, 4)


@pytest.mark.parametrize("most", [1, 2, 4])
def test_no_more_draws_than_asked(most):
    sizes = candidates(schema_of(10), width_of(schema_of(10)), most)
    assert max(a.draws for a in sizes) == most
    assert (sizes[0].units, sizes[0].draws) == (640, most)


def test_candidates_shrink():
    sizes = [a.bytes for a in candidates(schema_of(10, 2, 5), width_of(schema_of(10, 2, 5)), 4)]
    assert len(sizes) == len(SIZES)
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)


def test_a_flash_limit_picks_the_largest_that_fits():
    schema = schema_of(10)
    everything = candidates(schema, width_of(schema), 4)
    for larger, smaller in itertools.pairwise(everything):
        assert choose_architecture(requirement_of(schema, larger.bytes), width_of(schema), 4) == larger
        assert choose_architecture(requirement_of(schema, larger.bytes - 1), width_of(schema), 4) == smaller


def test_nothing_that_fits_is_an_error_that_names_the_smallest():
    schema = schema_of(10)
    smallest = candidates(schema, width_of(schema), 4)[-1]
    with pytest.raises(BudgetError) as raised:
        choose_architecture(requirement_of(schema, smallest.bytes - 1), width_of(schema), 4)
    assert raised.value.exit_code == 5
    assert f"{smallest.bytes:,}" in str(raised.value)
    assert str(smallest.bytes - 1) in str(raised.value)


def test_more_columns_and_classes_cost_more():
    assert estimate_bytes(schema_of(20), width_of(schema_of(20)), 640, 1) > estimate_bytes(
        schema_of(10), width_of(schema_of(10)), 640, 1
    )
    assert estimate_bytes(schema_of(10, 5), width_of(schema_of(10, 5)), 640, 1) > estimate_bytes(
        schema_of(10), width_of(schema_of(10)), 640, 1
    )
    assert estimate_bytes(schema_of(10, classes=9), width_of(schema_of(10, classes=9)), 640, 1) > estimate_bytes(
        schema_of(10, classes=2), width_of(schema_of(10, classes=2)), 640, 1
    )
