"""Lay a child's numbers out for the C template: units in tiles of sixteen, heads row by row.

The same layout is what the runtime hands to C, so nothing is converted on the device.
"""

from __future__ import annotations

import numpy as np

from modelgpt_edge.child import Child, Floats, Ints

TILE, GROUP, STEPS = 16, 8, 3
BLOCK = 4  # rows that share one pass over the weights


def native_tables(child: Child) -> dict[str, np.ndarray]:
    """Arrays by their names in ``tabular.h``, and ``sizes``: the struct's integers in order."""
    encoder, units, width = child.encoder, child.units, child.encoder.width
    lengths = [len(v) for v in encoder.vocabularies]
    dense = _pad(units.dense_weight, 1)
    sparse_weight, sparse_bias = _pad(units.sparse_weight, 2), _pad(units.sparse_bias, 1)
    groups, size = units.leaf_offset.shape
    slope = _pad(units.leaf_slope.reshape(groups, GROUP, STEPS, size), 3)  # (H, 8, 3, B)
    bias = _pad(units.leaf_bias.reshape(groups, STEPS, size), 2)
    offset = _pad(units.leaf_offset, 1, fill=float(STEPS))
    sizes = [
        len(encoder.numbers), len(encoder.wave_column), len(encoder.rank_column), encoder.rank_knots.shape[1],
        len(encoder.flag_column), len(encoder.words), sum(lengths), width,
        dense.shape[1] // TILE, len(sparse_weight), sparse_weight.shape[2] // TILE, groups, offset.shape[1] // TILE,
        child.head_weight.shape[1], int(bool(child.classes)),
    ]  # fmt: skip
    tables = {
        "sizes": np.array(sizes),
        "wave_column": encoder.wave_column,
        "rank_column": encoder.rank_column,
        "flag_column": encoder.flag_column,
        "one_hot_word": np.repeat(np.arange(len(lengths)), lengths),
        "one_hot_place": np.concatenate([np.arange(n) for n in lengths]) if lengths else np.zeros(0),
        "sparse_column": units.sparse_column,
        "leaf_column": units.leaf_column,
        "wave_frequency": encoder.wave_frequency,
        "wave_phase": encoder.wave_phase,
        "median": encoder.median,
        "center": encoder.center,
        "scale": encoder.scale,
        "rank_knots": encoder.rank_knots,
        "rank_values": encoder.rank_values,
        "dense_weight": _tiles(dense),
        "dense_bias": _pad(units.dense_bias, 0),
        "sparse_weight": _tiles(sparse_weight),
        "sparse_bias": sparse_bias,
        # (H, 8, 3, B) -> (H, 3, 8, B), each step's block tiled on its own
        "leaf_slope": _tiles(slope.transpose(0, 2, 1, 3)),
        "leaf_bias": bias,
        "leaf_offset": offset,
        "skip_weight": child.head_weight[:width].T,
        "head_weight": _head(child),
        "head_bias": child.head_bias,
    }
    integers = {
        "sizes",
        "wave_column",
        "rank_column",
        "flag_column",
        "one_hot_word",
        "one_hot_place",
        "sparse_column",
        "leaf_column",
    }
    return {name: np.ascontiguousarray(a, np.int32 if name in integers else np.float32) for name, a in tables.items()}


def _pad(array: np.ndarray, axis: int, fill: float = 0.0) -> np.ndarray:
    """Pad an axis to whole tiles."""
    extra = -array.shape[axis] % TILE
    widths = [(0, extra if a == axis else 0) for a in range(array.ndim)]
    return np.pad(array, widths, constant_values=fill)


def _tiles(weight: np.ndarray) -> np.ndarray:
    """(..., inputs, units) -> (..., units / 16, inputs, 16)."""
    *lead, inputs, units = weight.shape
    return np.moveaxis(weight.reshape(*lead, inputs, units // TILE, TILE), -2, -3)


def _head(child: Child) -> Floats:
    """Head weights (K, padded units): units of a group lie in whole tiles, and so must their weights."""
    units, weight = child.units, child.head_weight[child.encoder.width :]
    dense, sparse, leaf = np.split(weight, np.cumsum(units.counts)[:2])
    outputs = weight.shape[1]
    parts = [_pad(dense, 0)]
    for block, bias in ((sparse, units.sparse_bias), (leaf, units.leaf_offset)):
        parts.append(_pad(block.reshape(*bias.shape, outputs), 1).reshape(-1, outputs))
    return np.concatenate(parts).T


def scratch_floats(sizes: Ints) -> int:
    """Floats of scratch that the C code needs for tables of these sizes, as ``tabular_scratch`` counts them."""
    numbers, waves, *_ = map(int, sizes)
    width, dense, sparse_groups, sparse, leaf_groups, leaf = map(int, sizes[7:13])
    units = TILE * (dense + sparse_groups * sparse + leaf_groups * leaf)
    return BLOCK * (width + units) + numbers + waves
