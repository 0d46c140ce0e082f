"""Emit on a GPU: one program a strip of columns, the product in float32 and the storage type in the same pass.

The output is the traffic, the factors stay in the caches. So for int8 a strip is multiplied twice, once for the steps of its
channels and once for the codes, rather than written in float32 in between. No program writes what another does, so results
don't depend on the schedule.

Shape letters: G groups, T tiles, m rows, n columns, r rank; BM rows and BN columns of a tile, BK of the rank at a time.
"""

from __future__ import annotations

import math

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
STRIP, RANKS = 64, 32
# Rows of a program for float types; for int8 it has the whole strip.
ROWS = 256


@tuned(
    triton.Config({"BM": 64}, num_warps=8, num_stages=3),
    triton.Config({"BM": 32}, num_warps=4, num_stages=3),
)
@triton.jit(do_not_specialize=["rows_each"])
def emit_kernel(
    C,
    B,
    scale,
    bias,
    W,
    step,
    groups,
    tiles,
    rows_each,
    UC: tl.constexpr,
    UN: tl.constexpr,
    BN: tl.constexpr,
    BK: tl.constexpr,
    BM: tl.constexpr,
):
    """Write one tile of W = scale * (C B) + bias, rows_each rows of a strip of BN columns.

    groups: (G, 8) of m, r, n, and where C, B, bias, W and step begin; r and what addresses C in units of UC elements, n and
    what addresses B and W in units of UN, so that the compiler knows what divides them. tiles: (T, 3), see `list_tiles`.
    """
    tile = tiles + 3 * tl.program_id(0)
    group, first, strip = tl.load(tile).to(tl.int64), tl.load(tile + 1), tl.load(tile + 2)
    entry = groups + 8 * group
    m = tl.load(entry).to(tl.int32)
    r = tl.load(entry + 1).to(tl.int32) * UC
    n = tl.load(entry + 2).to(tl.int32) * UN
    C += tl.load(entry + 3) * UC
    B += tl.load(entry + 4) * UN
    W += tl.load(entry + 6) * UN
    rows, columns = tl.arange(0, BM)[:, None], strip * BN + tl.arange(0, BN)
    s = tl.load(scale + group)
    shift = tl.zeros((BN,), tl.float32)
    if bias is not None:
        shift = tl.load(bias + tl.load(entry + 5) + columns, mask=columns < n, other=0.0)
    last = tl.minimum(first + rows_each, m)
    if step is not None:
        largest = tl.zeros((BN,), tl.float32)
        for top in range(first, last, BM):
            weight = product(C + tl.cast(top, tl.int64) * r, B, last - top, columns, r, n, BM, BN, BK) * s + shift[None, :]
            largest = tl.maximum(largest, largest_of(weight, rows < last - top))
        tl.store(step + tl.load(entry + 7) + columns, step_of(largest), mask=columns < n)
    for top in range(first, last, BM):
        weight = product(C + tl.cast(top, tl.int64) * r, B, last - top, columns, r, n, BM, BN, BK) * s + shift[None, :]
        place = W + tl.cast(top, tl.int64) * n + (rows * n + columns[None, :])
        inside = (rows < last - top) & (columns < n)[None, :]
        if step is not None:
            tl.store(place, codes_of(weight, largest), mask=inside)
        else:
            tl.store(place, weight.to(W.dtype.element_ty), mask=inside)


def emit(left: Ragged, right: Ragged, kind: torch.dtype, scale: Tensor | None, bias: Ragged | None) -> Stored:
    """W = scale * (C B) + bias for every group; see `modelgpt_edge.kernels.emit.emit`, which checks the operands."""
    device = left.data.device
    out = Stored.empty(left.rows, right.columns, kind, device)
    whole = out.steps is not None
    rows_each = max(1, int(left.rows.max(initial=0))) if whole else ROWS
    uc, un = left.unit, math.gcd(right.unit, out.values.unit)
    strip = strip_of(STRIP, left.data.dtype, uc, un)
    tiles = list_tiles(left.rows, right.columns, rows_each, strip, whole=whole)
    if not len(tiles):
        return out
    begins = [left.offset // uc, right.offset // un, (right if bias is None else bias).offset, out.values.offset // un]
    begins.append((out.values if out.steps is None else out.steps).offset)
    with on(device):
        emit_kernel[(len(tiles),)](
            left.data,
            right.data,
            torch.ones(len(left), device=device) if scale is None else scale.float().contiguous(),
            None if bias is None else bias.data.float(),
            out.values.data,
            None if out.steps is None else out.steps.data,
            table(device, left.rows, left.columns // uc, right.columns // un, *begins),
            send(tiles, device),
            rows_each,
            UC=uc,
            UN=un,
            BN=strip,
            BK=RANKS,
        )
    return out


def variants() -> list[Variant]:
    """What is launched: for a server's adapters of texts, for factors of each type, and for sizes that nothing divides."""
    return [
        # Rows of coefficients of a basis of 8.
        _variant("emit LoRA", "fp32", "fp32", shapes.LORA_BASIS, 16, biased=False),
        *(_variant("emit", *types, unit, unit, biased=True) for unit in (16, 1) for types in TYPES),
    ]


def _variant(name: str, factors: str, stored: str, uc: int, un: int, *, biased: bool) -> Variant:
    types = {"C": f"*{factors}", "B": f"*{factors}", "scale": "*fp32", "W": f"*{stored}"}
    types |= {"groups": "*i64", "tiles": "*i32", "rows_each": "i32"} | ({"bias": "*fp32"} if biased else {})
    strip = strip_of(STRIP, DTYPES[factors], uc, un)
    constants = {"UC": uc, "UN": un, "BN": strip, "BK": RANKS} | ({} if biased else {"bias": None})
    return Variant(emit_kernel, f"{name} {factors} to {stored}", types, constants, aligned=uc > 1).storing(stored)
