"""The estimate against what is emitted: tables to the byte but for alignment, taps and steps never underestimated."""

import numpy as np
import pytest

from modelgpt_edge.architecture.cost import Columns
from modelgpt_edge.parameters.units import Widths, draw_units
from modelgpt_edge.targets.cortexm.sizes import CODE, STACK, Counts, estimate, flash_and_ram
from modelgpt_edge.targets.cortexm.tabular import emit_child

SHAPES = (
    {},
    {"numbers": 0},
    {"vocabularies": ()},
    {"dense": 0, "sparse": 0, "leaf": 0},
    {"classes": 0, "waves": 4},
    {"classes": 2},
    {"classes": 12, "numbers": 9, "ranks": 9, "vocabularies": (300, 5)},
    {"numbers": 300, "ranks": 20, "flags": 7, "dense": 90, "sparse": 400, "leaf": 200},
)
ALIGNMENT = 60


@pytest.mark.parametrize("precision", ["int8", "fp32"])
@pytest.mark.parametrize("shape", SHAPES, ids=map(str, SHAPES))
def test_tables_and_scratch_are_counted_to_the_byte(make_child, shape, precision):
    child = make_child(**shape)
    emitted, counts = emit_child(child, precision), Counts.of(child)
    flash, ram = estimate(counts, precision)
    parts = CODE[precision]
    code = parts["base"] + sum(parts[n] for n in ("numbers", "waves", "ranks", "flags") if getattr(counts, n))
    code += (
        parts["words"] * bool(counts.one_hots)
        + parts["units"] * bool(child.units.count)
        + parts["classes"] * bool(child.classes)
    )
    assert 0 <= flash - code - emitted.table_bytes <= ALIGNMENT
    assert ram - STACK[precision] == emitted.scratch_bytes


@pytest.mark.parametrize("units", [20, 160, 640, 2560])
@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_a_plan_holds_for_what_is_then_drawn(make_child, units, precision):
    child = make_child(numbers=8, ranks=6, dense=0, sparse=0, leaf=0)
    rng = np.random.default_rng(0)
    encoded = rng.normal(size=(300, child.encoder.width)).astype(np.float32)
    targets = np.eye(3, dtype=np.float32)[rng.integers(0, 3, 300)]
    weight = np.full(child.encoder.width, 1 / child.encoder.width, np.float32)
    drawn = draw_units(encoded, targets, weight, Widths().scaled(units), 1, rng)
    head = rng.normal(size=(child.encoder.width + drawn.count, 3)).astype(np.float32)
    whole = type(child)(child.encoder, drawn, head, child.head_bias, child.classes)
    planned, seen = (
        flash_and_ram(Columns.of(child.encoder), 3, drawn.count, precision),
        estimate(Counts.of(whole), precision),
    )
    assert seen[0] <= planned[0] <= 1.08 * seen[0]
    assert seen[1] <= planned[1] <= 1.02 * seen[1] + 8
