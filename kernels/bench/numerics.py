"""How near a result must be to its reference in float64: what rounding to its type and summing in float32 may cost.

The bench's checks and the kernels' tests judge by the same functions.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch  # noqa: TID251 - operands are torch tensors
from torch import Tensor  # noqa: TID251

from modelgpt_edge.kernels.launch import INTERPRETED

# Half the distance between neighbouring numbers, relative; the interpreter cuts a bfloat16 off where a GPU rounds it.
ROUNDING = {torch.float32: 2**-24, torch.float16: 2**-11, torch.bfloat16: 2**-7 if INTERPRETED else 2**-8}


class Tolerance(NamedTuple):
    """Of errors relative to the reference: root mean square to root mean square, largest to largest."""

    rms: float
    largest: float


def tolerance(kind: torch.dtype, length: int) -> Tolerance:
    """What rounding to a type after a float32 sum of `length` products may cost.

    A product of three tf32 ones is off by up to twelve roundings of float32, typically by few; sums grow like a random walk.
    """
    summed = 2**-24 * (8 + math.sqrt(length))
    return Tolerance(ROUNDING[kind] + summed, 2 * ROUNDING[kind] + 4 * summed)


def float_fault(got: Tensor, wanted: Tensor, length: int, kind: torch.dtype) -> str:
    """What is wrong with a tensor, in words; "" where it is within the tolerance of a type and a length of sums."""
    if got.shape != wanted.shape:
        return f"shape {tuple(got.shape)}, not {tuple(wanted.shape)}"
    if not got.numel():
        return ""
    limit = tolerance(kind, length)
    error = (got.double() - wanted).abs()
    rms = (error.pow(2).mean() / wanted.pow(2).mean()).sqrt().item()
    largest = (error.max() / wanted.abs().max()).item()
    if not rms <= limit.rms:
        return f"relative RMS {rms:.3g}, limit {limit.rms:.3g}"
    return "" if largest <= limit.largest else f"largest {largest:.3g}, limit {limit.largest:.3g}"


def code_fault(codes: Tensor, steps: Tensor, wanted: Tensor, length: int) -> str:
    """The same of int8 weights: half a step from the reference, and the step that of the largest of its channel."""
    if codes.shape != wanted.shape or steps.shape != (1, wanted.shape[1]):
        return f"shapes {tuple(codes.shape)} and {tuple(steps.shape)} for {tuple(wanted.shape)}"
    if not steps.numel():
        return ""
    largest = wanted.abs().amax(0) if len(wanted) else torch.zeros_like(steps[0], dtype=torch.float64)
    slack = 4 * 2**-24 * (8 + math.sqrt(length)) * float(largest.clamp(min=1e-9).max())
    if not ((steps[0].double() * 127 - largest.clamp(min=1e-9)).abs() <= slack).all():
        return "a step isn't that of the largest of its channel"
    if (codes == -128).any():
        return "a code of -128"
    within = (codes.double() * steps.double() - wanted).abs() <= 0.5 * steps.double() + slack
    return "" if within.all() else "a code more than half a step off"


def power(got: Tensor, wanted: Tensor) -> tuple[float, float]:
    """Sums of squares of a reference, and of what a result is off from it."""
    return wanted.pow(2).sum().item(), (got.double() - wanted).pow(2).sum().item()


def decibels(signal: float, noise: float) -> float | None:
    """Signal-to-quantisation-noise ratio in dB, 400 at the most; None where either is no number, or there is no signal."""
    if not (0 < signal < math.inf and noise < math.inf):
        return None
    return 10 * math.log10(signal / max(noise, signal * 1e-40))
