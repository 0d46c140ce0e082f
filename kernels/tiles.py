"""What the kernels share: one tile of a product, and int8 steps and codes of a strip of columns.

Shape letters: m rows, n columns, r the rank between; BM rows and BN columns of a tile, BK of the rank at a time.
"""

from __future__ import annotations

import triton
import triton.language as tl

from modelgpt_edge.kernels import store
from modelgpt_edge.kernels.launch import INTERPRETED

# Three products of tensor cores for one of float32: as exact as float32 itself, where one product (tf32) keeps ten bits.
PRECISION = tl.constexpr("tf32x3")
# numpy knows no bfloat16, so the interpreter multiplies in float32; every such product is exact there.
WIDEN = tl.constexpr(INTERPRETED)
# Added and taken away again it rounds a float32 below 2^22 to the nearest integer, halves to even.
ROUNDER = tl.constexpr(1.5 * 2**23)
# The smallest magnitude that a channel is scaled by.
FLOOR = tl.constexpr(store.FLOOR)
# int8 codes go from -127 to 127.
CODES = tl.constexpr(127.0)
INFINITY = tl.constexpr(float("inf"))
NAN = tl.constexpr(float("nan"))


@triton.jit
def product(C, B, left, columns, r, n, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """The first BM of the rows of C (left, r) times the columns (BN,) of B (r, n), in float32; zeros outside.

    Addresses are of 64 bits up to the first row of a tile, and of 32 within it.
    """
    total = tl.zeros((BM, BN), tl.float32)
    rows = tl.arange(0, BM)[:, None]
    for k in range(0, r, BK):
        ranks = tl.arange(0, BK)
        c = tl.load(C + k + rows * r + ranks[None, :], mask=(rows < left) & (ranks < r - k)[None, :], other=0.0)
        b_at = B + tl.cast(k, tl.int64) * n + (ranks[:, None] * n + columns[None, :])
        b = tl.load(b_at, mask=(ranks < r - k)[:, None] & (columns < n)[None, :], other=0.0)
        if WIDEN:
            c, b = c.to(tl.float32), b.to(tl.float32)
        total = tl.dot(c, b, total, input_precision=PRECISION)
    return total


@triton.jit
def largest_of(tile, inside):
    """The largest magnitude (BN,) in the columns of a tile (BM, BN), of what is inside; infinite where a NaN is among them."""
    size = tl.abs(tile)
    size = tl.where(size < INFINITY, size, INFINITY)
    return tl.max(tl.where(inside, size, 0.0), axis=0)


@triton.jit
def step_of(largest):
    """The value of one int8 step, from the largest magnitude of each channel; NaN where that is infinite."""
    return tl.where(largest < INFINITY, tl.div_rn(tl.maximum(largest, FLOOR), tl.full(largest.shape, CODES, tl.float32)), NAN)


@triton.jit
def codes_of(tile, largest):
    """A tile (BM, BN) as int8 steps, from the largest magnitude (BN,) of its channels; zeros where that is infinite."""
    steps_in_one = tl.div_rn(tl.full(largest.shape, CODES, tl.float32), tl.maximum(largest, FLOOR))
    scaled = tl.where((largest < INFINITY)[None, :], tile * steps_in_one[None, :], 0.0)
    return ((scaled + ROUNDER) - ROUNDER).to(tl.int8)
