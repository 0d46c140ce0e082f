"""The tables of a child in int8: dense weights int8 with a scale for each unit; taps and heads int16, which costs them nothing.

Encoded columns are in 4096ths and clipped at 5, hidden units in 32768ths, tanh is a table of 32 steps to the unit.
"""

from __future__ import annotations

import numpy as np

from modelgpt_edge.targets.cortexm.layout import Layout, Taps
from modelgpt_edge.targets.cortexm.literals import Table
from modelgpt_edge.targets.cortexm.quantise import Doubles, Inputs, head_int16, pack_pairs, pad, taps_int16, units_int8
from modelgpt_edge.targets.cortexm.tabular_tables import Shape, float_tables, front_tables, taps_tables

ONE, UNIT = 4096, 32768
TANH_REACH, TANH_STEPS = 6, 32
LONGEST = 32767
# A unit steeper than this in a standardised column is a step to within what an int8 weight tells.
STEEPEST, FARTHEST = 60.0, 1900.0
BIAS_SHIFT = 9


def int8_tables(layout: Layout, shape: Shape) -> tuple[list[Table], dict[str, int]]:
    """Tables in the order of their use, and the shifts that belong to them."""
    tables, shifts = front_tables(layout), {}
    tables.append(Table("int16_t", "rank_values", np.rint(np.concatenate([*layout.values, np.zeros(0)]) * ONE)))
    inputs = _inputs(layout, shape)
    if shape.hidden:
        tables.append(Table("uint16_t", "tanh_table", tanh_table()))
        shifts["TANH_LAST"] = TANH_REACH * ONE - 1
    for made, more in (
        _dense(layout, shape, inputs),
        _taps("sparse", "sparse_weight", layout.sparse, layout, shape, inputs),
        _taps("leaf", "leaf_slope", layout.leaf, layout, shape, inputs),
        _head(layout, shape, inputs),
    ):
        tables += made
        shifts |= more
    return tables, shifts


def tanh_table() -> Doubles:
    """tanh at 0, 1/32, 2/32, ... 6, in 32768ths."""
    x = np.arange(TANH_REACH * TANH_STEPS + 1) / TANH_STEPS
    return np.minimum(np.rint(np.tanh(x) * UNIT), LONGEST)


def _inputs(layout: Layout, shape: Shape) -> Inputs:
    """The encoded columns, those always on first; of the one-hot columns of a word column at most one is on."""
    encoder, spare = layout.encoder, shape.always - layout.always
    ranks = [float(np.abs(v).max()) for v in layout.values]
    always = [5.0] * len(encoder.median) + ranks + [1.0] * len(encoder.flag_column) + [0.0] * spare
    reach = np.rint(np.array(always + [1.0] * layout.one_hots) * ONE)
    words = layout.one_hot_start[:-1][np.diff(layout.one_hot_start) > 0]
    return Inputs(np.full(len(reach), 1 / ONE), reach, np.concatenate([np.arange(shape.always), shape.always + words]))


def _dense(layout: Layout, shape: Shape, inputs: Inputs) -> tuple[list[Table], dict[str, int]]:
    if not shape.dense:
        return [], {}
    weight = np.concatenate([pad(layout.dense_weight, 0, shape.always), layout.dense_row])
    bias = _within_reach(layout.dense_bias, inputs.bound(weight) / ONE)
    gain = _gain(np.maximum(np.abs(weight).max(0, initial=0), np.abs(bias) * STEEPEST / FARTHEST))
    q = units_int8(pad(weight * gain, 1, shape.dense), pad(bias * gain, 0, shape.dense), inputs, 1 / ONE, BIAS_SHIFT)
    tables = [
        Table("int16_t", "dense_weight", pack_pairs(q.weight[: shape.always]), aligned=True),
        Table("int8_t", "dense_row", q.weight[shape.always :]),
        Table("int16_t", "dense_scale", q.scale),
    ]
    return tables, {"DENSE_BIAS_SHIFT": q.bias_shift}


def _gain(steepest: Doubles) -> Doubles:
    """What units are scaled by: one, but less for those too steep."""
    return np.minimum(1, STEEPEST / np.maximum(steepest, 1e-30))


def _within_reach(bias: Doubles, reach: Doubles) -> Doubles:
    """Biases, held to where no columns can bring the sum back from where tanh is flat."""
    limit = TANH_REACH + 1 + reach
    return np.clip(bias, -limit, limit)


def _taps(
    name: str, weights: str, taps: Taps, layout: Layout, shape: Shape, inputs: Inputs
) -> tuple[list[Table], dict[str, int]]:
    if not taps.order.size:
        return [], {}
    sums = np.repeat(np.arange(len(taps.bias)), taps.taps_a_sum)  # of each tap
    steepest = np.maximum.reduceat(np.abs(taps.weight), np.flatnonzero(np.diff(sums, prepend=-1)))
    gain = _gain(steepest)
    most, reach = int(taps.taps_a_sum.max()), float(inputs.reach.max())
    bias = _within_reach(taps.bias * gain, most * steepest * gain * reach / ONE)
    q = taps_int16(taps.weight * gain[sums], bias, reach, most, 1 / ONE)
    tables = [
        *taps_tables(name, taps, layout, shape),
        Table("int16_t", weights, q.weight),
        Table("int16_t", f"{name}_bias", q.bias),
    ]
    return tables, {f"{name.upper()}_SHIFT": q.shift, f"{name.upper()}_BIAS_SHIFT": q.bias_shift}


def _head(layout: Layout, shape: Shape, inputs: Inputs) -> tuple[list[Table], dict[str, int]]:
    units = Inputs.alike(shape.hidden, 1 / UNIT, UNIT)
    all_inputs = Inputs(
        np.concatenate([inputs.step, units.step]),
        np.concatenate([inputs.reach, units.reach]),
        np.concatenate([inputs.starts, len(inputs.reach) + units.starts]),
    )
    columns, hidden = np.split(shape.head(layout), [shape.always])
    q = head_int16(np.concatenate([columns, layout.head_row, hidden]), all_inputs)
    always, rows, units_weight = np.split(q.weight, [shape.always, len(inputs.reach)])
    tables = [
        Table("int16_t", "head_weight", np.concatenate([always, units_weight]).T, aligned=True),
        Table("int16_t", "head_row", rows),
        *float_tables(head_scale=q.scale, head_bias=layout.head_bias),
    ]
    return tables, {"HEAD_SHIFT": q.shift}
