"""Gram sums on a GPU: one program a pair of column tiles, features made anew for each block of rows and never written.

Columns come in four kinds, [X, tanh units, leaf units, 1 and Y], and a tile has columns of one kind. Making a tile of units
costs D multiplications a value where the product costs the width of a tile, so making them once a pair instead of once is
cheap as long as tables are narrow. A pair of tiles is summed by one program over all rows in their order: no atomics, and no
result depends on the schedule. Only pairs on and above the diagonal are summed, the rest is mirrored.

Shape letters: N rows, D inputs, T tanh units, H leaf units, K targets, F = D + T + H + 1 + K; BR rows of a block, BD inputs at
a time, BP columns of a tile.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch  # noqa: TID251 - operands are torch tensors
import triton
import triton.language as tl
from numpy.typing import NDArray

from modelgpt_edge.kernels.gram.batch import BatchSums, BatchUnits
from modelgpt_edge.kernels.launch import Variant, on, table, tuned
from modelgpt_edge.kernels.ragged import Ragged
from modelgpt_edge.kernels.tiles import PRECISION
from modelgpt_edge.kernels.transfer import send

# Fixed, so that no sum depends on the configuration.
TILE, BLOCK, INPUTS = 64, 32, 16
# Rows summed in float32 before the sum goes on in float64.
SEGMENT = 4096


@tuned(
    triton.Config({}, num_warps=8, num_stages=2),
    triton.Config({}, num_warps=8, num_stages=1),
)
@triton.jit
def gram_kernel(
    X,
    Y,
    weight,
    offset,
    out,
    groups,
    tiles,
    UX: tl.constexpr,
    UW: tl.constexpr,
    SEGMENT: tl.constexpr,
    BR: tl.constexpr,
    BD: tl.constexpr,
    BP: tl.constexpr,
):
    """Write the sums of one pair of column tiles, and their mirror image.

    groups: (G, 10) of N, D, T, H, K and where X, Y, weight, offset and out begin; D and what addresses X in units of UX
    elements, T, H and what addresses weight in units of UW, so that the compiler knows what divides them. tiles: (T, 7) of the
    group, and for each side of the pair the kind of its columns, the first among those of the kind, and the same in out.
    """
    tl.static_assert(SEGMENT % BR == 0, "a block of rows would be summed in two segments")
    tile = tiles + 7 * tl.program_id(0)
    entry = groups + 10 * tl.load(tile).to(tl.int64)
    N = tl.load(entry).to(tl.int32)
    D = tl.load(entry + 1).to(tl.int32) * UX
    T = tl.load(entry + 2).to(tl.int32) * UW
    H = tl.load(entry + 3).to(tl.int32) * UW
    K = tl.load(entry + 4).to(tl.int32)
    X += tl.load(entry + 5) * UX
    Y += tl.load(entry + 6)
    weight += tl.load(entry + 7) * UW
    offset += tl.load(entry + 8)
    out += tl.load(entry + 9)
    left, left_first, left_at = tl.load(tile + 1), tl.load(tile + 2), tl.load(tile + 3)
    right, right_first, right_at = tl.load(tile + 4), tl.load(tile + 5), tl.load(tile + 6)
    total = tl.zeros((BP, BP), tl.float64)
    for start in range(0, N, SEGMENT):
        part = tl.zeros((BP, BP), tl.float32)
        # Hoisting addresses and masks out of the loop would cost more registers than there are.
        for top in tl.range(start, tl.minimum(start + SEGMENT, N), BR, disable_licm=True):
            wide = tl.cast(top, tl.int64)
            x, y = X + wide * D, Y + wide * K
            f = features(left, left_first, x, y, weight, offset, N - top, D, T, H, K, BR, BD, BP)
            g = features(right, right_first, x, y, weight, offset, N - top, D, T, H, K, BR, BD, BP)
            part = tl.dot(tl.trans(f), g, part, input_precision=PRECISION)
        total += part.to(tl.float64)
    width = (D + T + H + 1 + K).to(tl.int64)
    i, j = tl.arange(0, BP)[:, None], tl.arange(0, BP)[None, :]
    inside = (left_first + i < columns_of(left, D, T, H, K)) & (right_first + j < columns_of(right, D, T, H, K))
    # Of a tile with itself the upper half is written twice, so that both halves are the same bits.
    inside = inside & ((left_at != right_at) | (i <= j))
    tl.store(out + (left_at + i) * width + right_at + j, total, mask=inside)
    tl.store(out + (right_at + j) * width + left_at + i, total, mask=inside)


@triton.jit
def columns_of(kind, D, T, H, K):
    """How many columns there are of a kind."""
    return tl.where(kind == 0, D, tl.where(kind == 1, T, tl.where(kind == 2, H, K + 1)))


@triton.jit
def features(kind, first, X, Y, weight, offset, left, D, T, H, K, BR: tl.constexpr, BD: tl.constexpr, BP: tl.constexpr):
    """Columns first to first + BP of a kind, at the first BR of the rows that are left; zeros (BR, BP) beyond the last row."""
    rows, columns = tl.arange(0, BR)[:, None], first + tl.arange(0, BP)
    if kind == 0:
        f = tl.load(X + rows * D + columns[None, :], mask=(rows < left) & (columns < D)[None, :], other=0.0)
    elif kind == 3:
        given = (columns > 0) & (columns <= K)
        f = tl.load(Y + rows * K + columns[None, :] - 1, mask=(rows < left) & given[None, :], other=0.0)
        f = tl.where(columns[None, :] == 0, 1.0, f)
    else:
        # sigmoid(z) = (1 + tanh(z / 2)) / 2: one path for tanh units, of one term, and leaf units, of three.
        leaf = kind == 2
        f = tl.zeros((BR, BP), tl.float32)
        for s in tl.range(0, tl.where(leaf, 3, 1), disable_licm=True):
            at = tl.where(leaf, T + s * H, 0)
            z = affine(X, weight + at, columns, tl.where(leaf, H, T), left, D, T + 3 * H, BR, BD, BP)
            f += tanh(tl.where(leaf, 0.5, 1.0) * z)
        floor = tl.load(offset + columns, mask=leaf & (columns < H), other=0.0)
        box = 0.5 * (f + 3.0) - floor[None, :]
        f = tl.where(leaf, tl.where(box < 0.0, 0.0, box), f)  # a NaN stays
    return tl.where(rows < left, f, 0.0)


@triton.jit
def affine(X, W, columns, count, left, D, stride, BR: tl.constexpr, BD: tl.constexpr, BP: tl.constexpr):
    """[x, 1] W (BR, BP) at some of count columns; the last of the D + 1 rows of W is the bias."""
    rows, mine = tl.arange(0, BR)[:, None], (columns < count)[None, :]
    total = tl.zeros((BR, BP), tl.float32)
    for d in range(0, D, BD):
        inputs = tl.arange(0, BD)
        x_at = X + d + (rows * D + inputs[None, :])
        w_at = W + tl.cast(d, tl.int64) * stride + (inputs[:, None] * stride + columns[None, :])
        x = tl.load(x_at, mask=(rows < left) & (inputs < D - d)[None, :], other=0.0)
        w = tl.load(w_at, mask=(inputs < D - d)[:, None] & mine, other=0.0)
        total = tl.dot(x, w, total, input_precision=PRECISION)
    return total + tl.load(W + D.to(tl.int64) * stride + columns[None, :], mask=mine, other=0.0)


@triton.jit
def tanh(z):
    """Exact to a few 1e-7, at both ends too."""
    return 1.0 - 2.0 / (tl.exp(2.0 * z) + 1.0)


def gram(inputs: Ragged, targets: Ragged, units: BatchUnits) -> BatchSums:
    """Sums of every table; see `modelgpt_edge.kernels.gram.gram`, which checks the operands."""
    device = inputs.data.device
    features = inputs.columns + units.tanh + units.leaf
    width = features + 1 + targets.columns
    matrix = Ragged.empty(width, width, torch.float64, device)
    shape = [inputs.columns, units.tanh, units.leaf, targets.columns]
    pairs = [_pairs(*map(int, sizes)) for sizes in zip(*shape)]
    if not pairs:
        return BatchSums(matrix, inputs.rows, features)
    group = np.repeat(np.arange(len(pairs), dtype=np.int32), [len(p) for p in pairs])
    tiles = np.column_stack([group, np.concatenate(pairs)])
    ux, uw = inputs.unit, units.unit
    shape = [inputs.rows, inputs.columns // ux, units.tanh // uw, units.leaf // uw, targets.columns]
    begins = [inputs.offset // ux, targets.offset, units.weight.offset // uw, units.offset.offset, matrix.offset]
    with on(device):
        gram_kernel[(len(tiles),)](
            inputs.data,
            targets.data,
            units.weight.data,
            units.offset.data,
            matrix.data,
            table(device, *shape, *begins),
            send(tiles, device),
            UX=ux,
            UW=uw,
            SEGMENT=SEGMENT,
            BR=BLOCK,
            BD=INPUTS,
            BP=TILE,
        )
    return BatchSums(matrix, inputs.rows, features)


@lru_cache(maxsize=256)
def _pairs(*sizes: int) -> NDArray[np.int32]:
    """Pairs of column tiles (n, 6) of a table with D, T, H and K columns of each kind; see `gram_kernel`."""
    inputs, tanh, leaf, targets = sizes
    counts = (inputs, tanh, leaf, targets + 1)
    begins = np.cumsum((0, *counts))
    sides = np.array([(k, f, begins[k] + f) for k, count in enumerate(counts) for f in range(0, count, TILE)], np.int32)
    i, j = np.triu_indices(len(sides))
    return np.concatenate([sides[i], sides[j]], axis=1)


def variants() -> list[Variant]:
    """What a server launches: tables of 16 columns or a multiple and of any number, on draws of as many units."""
    types = {**dict.fromkeys(("X", "Y", "weight", "offset"), "*fp32"), "out": "*fp64", "groups": "*i64", "tiles": "*i32"}
    fixed = {"SEGMENT": SEGMENT, "BR": BLOCK, "BD": INPUTS, "BP": TILE}
    units = {"gram fp32": (16, 16), "gram fp32, any units": (16, 1), "gram fp32, any columns": (1, 16)}
    return [
        Variant(gram_kernel, name, types, {**fixed, "UX": ux, "UW": uw}, aligned=ux > 1) for name, (ux, uw) in units.items()
    ]
