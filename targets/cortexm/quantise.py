"""Real weights to integers: int8 a channel for dense blocks, int16 for heads and taps, always with sums that can't overflow.

Each function takes how far its inputs reach, so the bound of every sum is known here and proven, never hoped for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.targets.cortexm.literals import Array

Doubles = NDArray[np.float64]
Whole = NDArray[np.int64]
# Sums stay below this, so that a rounding term added to them can't turn them over either.
LIMIT = 2.0**31 - 2.0**20
# Sums of maps: two share 32 bits.
SHORT = 2.0**23 - 1


@dataclass(frozen=True)
class DenseInt8:
    """Weights (J, N) in [-127, 127], and how sums become outputs.

    Of a layer: ``(sum * multiplier / 2^16 + bias * 2^bias_shift) / 2^shift`` steps. Of units: ``(sum + bias * 2^bias_shift) *
    multiplier / 2^16``, so that each unit's bias is as fine as its weights.
    """

    weight: Whole
    multiplier: Whole
    bias: Whole
    bias_shift: int
    shift: int
    step_out: float

    @property
    def scale(self) -> Whole:
        """Multiplier and bias of each output in turn, as the code reads them."""
        return np.stack([self.multiplier, self.bias], axis=1)


@dataclass(frozen=True)
class HeadInt16:
    """Weights (J, L) in [-32767, 32767]; a score is ``(sum >> shift) * scale + bias``."""

    weight: Whole
    scale: Doubles
    shift: int


@dataclass(frozen=True)
class TapsInt16:
    """Weights and biases of taps; a unit's sum is ``sum of value * weight + bias * 2^bias_shift``, in ``2^-shift`` steps."""

    weight: Whole
    bias: Whole
    shift: int
    bias_shift: int


@dataclass(frozen=True)
class Inputs:
    """What goes into a sum.

    Attributes:
        step: (J,) real size of a step of each input; reach: (J,) the largest absolute value in steps.
        starts: first input of each run of inputs of which at most one isn't zero; most runs are of one input.
    """

    step: Doubles
    reach: Doubles
    starts: NDArray[np.intp]

    @staticmethod
    def alike(count: int, step: float, reach: float) -> Inputs:
        """Inputs of one kind."""
        return Inputs(np.full(count, step), np.full(count, reach), np.arange(count))

    def bound(self, q: Doubles) -> Doubles:
        """(N,) the largest absolute sum of weights (J, N) that inputs can bring about."""
        return np.maximum.reduceat(np.abs(q) * self.reach[:, None], self.starts, axis=0).sum(0)


def dense_int8(
    weight: Doubles, bias: Doubles, inputs: Inputs, step_out: float, zero_out: int = 0, limit: float = LIMIT
) -> DenseInt8:
    """Quantise a dense block, symmetric, a scale for each output, such that its multiplier is a whole number: no gain is lost.

    Args:
        weight: (J, N) real; bias: (N,) real.
        inputs: all of one step.
        step_out: real size of a step of the outputs; taken larger where the sums are no finer.
        zero_out: what stands for zero in the outputs.
        limit: `SHORT` where sums are kept in 24 bits; then outputs are few, and rounded, which takes a shift. Else they are
            rounded down and the shift is 0.
    """
    step_in = float(inputs.step[0])
    scale = np.maximum(np.abs(weight).max(0, initial=0) / 127, 1e-30)
    for _ in range(4):  # a coarser channel rounds anew, so its bound is looked at again
        bound = inputs.bound(np.rint(weight / scale))
        scale = np.where(bound > limit, scale * bound / limit * 1.001, scale)
    step_out = max(step_out, float(scale.max(initial=0)) * step_in / 0.49)
    steps = bias / step_out + zero_out
    shift = shift_for(scale * step_in / step_out, float(np.abs(steps).max(initial=0))) if limit == SHORT else 0
    multiplier = np.clip(np.ceil(scale * step_in / step_out * 2.0 ** (16 + shift)), 1, 32767)
    scale = multiplier * step_out / step_in / 2.0 ** (16 + shift)
    steps = steps * 2.0**shift + (0.5 * 2.0**shift if limit == SHORT else 0.0)
    bias_shift = max(0, int(np.ceil(np.log2(max(float(np.abs(steps).max(initial=0)), 1.0) / 32767))))
    return DenseInt8(_whole(weight / scale), _whole(multiplier), _whole(steps / 2.0**bias_shift), bias_shift, shift, step_out)


def units_int8(weight: Doubles, bias: Doubles, inputs: Inputs, step: float, bias_shift: int) -> DenseInt8:
    """Quantise units, whose inputs and outputs have the same step; a scale for each.

    Weights may be 60 at most, and biases 1,900 for a step of 1 / 4096 and a shift of 9: multipliers stay below a half.
    """
    scale = np.maximum(np.abs(weight).max(0, initial=0) / 127, np.abs(bias) / (step * 32766 * 2.0**bias_shift))
    scale = np.maximum(scale, 2.0**-16)
    for _ in range(4):
        bound = inputs.bound(np.rint(weight / scale)) + np.abs(bias) / (scale * step)
        scale = np.where(bound > LIMIT, scale * bound / LIMIT * 1.001, scale)
    multiplier = np.ceil(scale * 2.0**16)
    scale = multiplier / 2.0**16
    return DenseInt8(
        _whole(weight / scale), _whole(multiplier), _whole(bias / (scale * step * 2.0**bias_shift)), bias_shift, 0, step
    )


def multiplier_of(ratio: float) -> tuple[int, int]:
    """A ratio below a half as ``multiplier / 2^(16 + shift)``."""
    shift = shift_for(np.array([ratio]), 0.0)
    return round(ratio * 2.0 ** (16 + shift)), shift


def shift_for(ratio: Doubles, most: float) -> int:
    """The shift that gives multipliers of ratios most of 15 bits, with room to add `most` outputs before it."""
    finest = np.floor(np.log2(0.4999 / max(float(ratio.max(initial=0)), 1e-12)))
    return int(np.clip(min(finest, np.floor(np.log2(2.0**29 / (most + 1.0)))), 0, 24))


def head_int16(weight: Doubles, inputs: Inputs) -> HeadInt16:
    """Quantise a head's weights (J, L), which are real, for inputs in real units."""
    a_step = weight * inputs.step[:, None]
    scale = np.maximum(np.abs(a_step).max(0, initial=0) / 32767, 1e-30)
    q = np.rint(a_step / scale)
    bound = float(inputs.bound(q).max(initial=1))
    shift = max(0, int(np.ceil(np.log2(bound / LIMIT))))
    return HeadInt16(_whole(q), scale * 2.0**shift, shift)


def taps_int16(weight: Doubles, bias: Doubles, reach: float, taps: int, step: float) -> TapsInt16:
    """Quantise sums of few inputs, one scale for all: a power of two, so that a shift brings a sum back to input steps.

    Args:
        reach: largest absolute input in steps; taps: most inputs of a sum; step: real size of a step, in and out.
    """
    largest = float(np.abs(weight).max(initial=0)) or 1.0
    highest = float(np.abs(bias).max(initial=0)) / step or 1.0
    # both the weights and the sums must fit: weight < 2^15, taps * reach * weight + bias < 2^31
    shift = int(np.floor(min(np.log2(32767 / largest), np.log2(LIMIT / (taps * reach * largest + highest)))))
    shift = int(np.clip(shift, 0, 24))
    bias_shift = max(0, int(np.ceil(np.log2(highest * 2.0**shift / 32767))))
    return TapsInt16(_whole(weight * 2.0**shift), _whole(bias / step * 2.0 ** (shift - bias_shift)), shift, bias_shift)


def _whole(values: Doubles) -> Whole:
    return np.rint(values).astype(np.int64)


def pack_pairs(weight: Whole) -> Whole:
    """Int8 weights (J, N), J even and N a multiple of four, as int16 in the order that the sums read them, flat.

    Two outputs share an int16, ``low + 256 * high``; four outputs lie together for each pair of inputs.
    """
    inputs, outputs = weight.shape
    both = weight[:, 0::2] + 256 * weight[:, 1::2]  # (J, N / 2)
    # (pairs, 2, tiles, words) -> (tiles, pairs, words, 2 inputs)
    return both.reshape(inputs // 2, 2, outputs // 4, 2).transpose(2, 0, 3, 1).ravel()


def pad(values: Array, axis: int, length: int) -> Array:
    """Zeros at the end of an axis, up to a length."""
    widths = [(0, length - values.shape[axis] if a == axis else 0) for a in range(values.ndim)]
    return np.pad(values, widths)


def round_up(count: int, multiple: int) -> int:
    """The least multiple that is no smaller."""
    return -(-count // multiple) * multiple
