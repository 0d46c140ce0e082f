"""Merge on a GPU: a program holds a tile of the base and goes through requests.

For float types it goes through all of them, so the base is read once. For int8 a strip of columns is gone through twice, once
for the steps of its channels and once for the codes, for a block of requests whose largest magnitudes stay in registers; so
the base is read twice a block. No program writes what another does, so results don't depend on the schedule.

Shape letters: L layers, Q requests, T tiles, m rows, n columns, r rank; BM rows and BN columns of a tile, BK of the rank at a
time, BQ requests of a block.
"""

from __future__ import annotations

import math

import numpy as np
import torch  # noqa: TID251 - operands are torch tensors
import triton
import triton.language as tl
from torch import Tensor  # noqa: TID251

from modelgpt_edge.kernels import shapes
from modelgpt_edge.kernels.launch import DTYPES, TYPES, Variant, list_tiles, on, strip_of, table, tuned
from modelgpt_edge.kernels.ragged import Ragged, Stored
from modelgpt_edge.kernels.tiles import codes_of, largest_of, product, step_of
from modelgpt_edge.kernels.transfer import send

# Columns of a strip (see `strip_of`), and what is summed at a time: fixed, so that no sum depends on the configuration.
STRIP, RANKS = 64, 16
# Requests of a block for int8; for float types a program goes through all.
REQUESTS = 16
# Rows of a program for float types; for int8 it has the whole strip.
ROWS = 128


@tuned(
    triton.Config({"BM": 32}, num_warps=4, num_stages=2),
    triton.Config({"BM": 64}, num_warps=8, num_stages=4),  # with 2 or 3 an int8 variant spills on sm_100
)
@triton.jit(do_not_specialize=["requests", "requests_each", "rows_each"])
def merge_kernel(
    base,
    A,
    B,
    scale,
    W,
    step,
    layers,
    pairs,
    tiles,
    requests,
    requests_each,
    rows_each,
    UA: tl.constexpr,
    UN: tl.constexpr,
    BN: tl.constexpr,
    BK: tl.constexpr,
    BQ: tl.constexpr,
    BM: tl.constexpr,
):
    """Write one tile of W = base + scale * A B for requests_each requests, rows_each rows of a strip of BN columns.

    layers: (L, 3) of m, n and where the base begins. pairs: (L Q, 5) of r and where A, B, W and step begin. r and what
    addresses A stand in units of UA elements, n and what addresses base, B and W in units of UN, so that the compiler knows
    what divides them. tiles: (T, 4), as `list_tiles` has them, and the block of requests.
    """
    tile = tiles + 4 * tl.program_id(0)
    layer, first, strip = tl.load(tile).to(tl.int64), tl.load(tile + 1), tl.load(tile + 2)
    request = tl.load(tile + 3) * requests_each
    end = tl.minimum(request + requests_each, requests)
    m = tl.load(layers + 3 * layer).to(tl.int32)
    n = tl.load(layers + 3 * layer + 1).to(tl.int32) * UN
    base += tl.load(layers + 3 * layer + 2) * UN
    scale += layer * requests
    pairs += 5 * layer * requests
    rows, columns = tl.arange(0, BM)[:, None], strip * BN + tl.arange(0, BN)
    at = rows * n + columns[None, :]
    last = tl.minimum(first + rows_each, m)
    if step is not None:
        block = request + tl.arange(0, BQ)
        largest = tl.zeros((BQ, BN), tl.float32)
        for top in range(first, last, BM):
            inside = (rows < last - top) & (columns < n)[None, :]
            held = tl.load(base + tl.cast(top, tl.int64) * n + at, mask=inside, other=0.0).to(tl.float32)
            for q in range(request, end):
                weight = held + tl.load(scale + q) * correction(A, B, pairs, q, top, last, columns, n, UA, UN, BM, BN, BK)
                size = tl.maximum(largest, largest_of(weight, inside)[None, :])
                largest = tl.where((block == q)[:, None], size, largest)
        begins = tl.load(pairs + 5 * block + 4, mask=block < end, other=0)
        tl.store(
            step + begins[:, None] + columns[None, :],
            step_of(largest),
            mask=(block < end)[:, None] & (columns < n)[None, :],
        )
    for top in range(first, last, BM):
        inside = (rows < last - top) & (columns < n)[None, :]
        held = tl.load(base + tl.cast(top, tl.int64) * n + at, mask=inside, other=0.0).to(tl.float32)
        for q in range(request, end):
            weight = held + tl.load(scale + q) * correction(A, B, pairs, q, top, last, columns, n, UA, UN, BM, BN, BK)
            place = W + (tl.load(pairs + 5 * q + 3) * UN + tl.cast(top, tl.int64) * n) + at
            if step is not None:
                size = tl.max(tl.where((block == q)[:, None], largest, 0.0), axis=0)
                tl.store(place, codes_of(weight, size), mask=inside)
            else:
                tl.store(place, weight.to(W.dtype.element_ty), mask=inside)


@triton.jit
def correction(
    A,
    B,
    pairs,
    q,
    top,
    last,
    columns,
    n,
    UA: tl.constexpr,
    UN: tl.constexpr,
    BM: tl.constexpr,
    BN: tl.constexpr,
    BK: tl.constexpr,
):
    """The tile of A B of request q from row top on; pairs begins at the layer's first request."""
    entry = pairs + 5 * q
    r = tl.load(entry).to(tl.int32) * UA
    A += tl.load(entry + 1) * UA + tl.cast(top, tl.int64) * r
    return product(A, B + tl.load(entry + 2) * UN, last - top, columns, r, n, BM, BN, BK)


def merge(base: Ragged, left: Ragged, right: Ragged, scale: Tensor, kind: torch.dtype) -> Stored:
    """W = base + scale * A B for layers and requests; see `modelgpt_edge.kernels.merge.merge`, which checks the operands."""
    device, requests = base.data.device, scale.shape[1]
    out = Stored.empty(left.rows, right.columns, kind, device)
    whole = out.steps is not None
    rows_each = max(1, int(base.rows.max(initial=0))) if whole else ROWS
    requests_each = REQUESTS if whole else max(1, requests)
    ua, un = left.unit, math.gcd(base.unit, right.unit, out.values.unit)
    strip = strip_of(STRIP, base.data.dtype, ua, un)
    tiles = list_tiles(base.rows, base.columns, rows_each, strip, whole=whole)
    blocks = -(-requests // requests_each)
    tiles = np.column_stack([np.tile(tiles, (blocks, 1)), np.repeat(np.arange(blocks), len(tiles))]).astype(np.int32)
    if not len(tiles):
        return out
    begins = [left.offset // ua, right.offset // un, out.values.offset // un]
    begins.append((out.values if out.steps is None else out.steps).offset)
    with on(device):
        merge_kernel[(len(tiles),)](
            base.data,
            left.data,
            right.data,
            scale.float().contiguous(),
            out.values.data,
            None if out.steps is None else out.steps.data,
            table(device, base.rows, base.columns // un, base.offset // un),
            table(device, left.columns // ua, *begins),
            send(tiles, device),
            requests,
            requests_each,
            rows_each,
            UA=ua,
            UN=un,
            BN=strip,
            BK=RANKS,
            BQ=REQUESTS,
        )
    return out


def variants() -> list[Variant]:
    """What is launched: for a server's adapters of texts, for templates of each type, and for sizes that nothing divides."""
    return [
        # First factors of rank 8.
        *(_variant("merge LoRA", "fp32", stored, shapes.LORA_RANK, 16) for stored in shapes.LORA_STORED),
        *(_variant("merge", *types, unit, unit) for unit in (16, 1) for types in TYPES),
    ]


def _variant(name: str, held: str, stored: str, ua: int, un: int) -> Variant:
    types = {"base": f"*{held}", "A": f"*{held}", "B": f"*{held}", "scale": "*fp32", "W": f"*{stored}"}
    types |= {"layers": "*i64", "pairs": "*i64", "tiles": "*i32"}
    types |= {"requests": "i32", "requests_each": "i32", "rows_each": "i32"}
    strip = strip_of(STRIP, DTYPES[held], ua, un)
    constants = {"UA": ua, "UN": un, "BN": strip, "BK": RANKS, "BQ": REQUESTS}
    return Variant(merge_kernel, f"{name} {held} to {stored}", types, constants, aligned=ua > 1).storing(stored)
