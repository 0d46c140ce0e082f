"""Draws of many tables of one size on a device: rows, units and variances in float64, posed as ridge problems and solved.

Every shape here follows from a table's own sizes alone. Sizes are rounded up, and a launch has a fixed number of slots, so that
a table gets the same bits in whatever company.

Shape letters: S slots, M rows, P features, K outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch  # noqa: TID251 - for the GPU server, as the kernels
from numpy.typing import NDArray
from torch import Tensor  # noqa: TID251

from modelgpt_edge.child import Floats, Units
from modelgpt_edge.kernels.gram.batch import BatchUnits, Sums
from modelgpt_edge.kernels.gram.naive import activate
from modelgpt_edge.kernels.transfer import send
from modelgpt_edge.parameters.batched_logistic import logistic_heads
from modelgpt_edge.parameters.batched_ridge import LEAST, Problems, classification_heads, regression_heads
from modelgpt_edge.parameters.floor import SKIP, Heads
from modelgpt_edge.parameters.ridge import RATIOS
from modelgpt_edge.parameters.units import Widths

# Longer tables are summed by the Gram kernel, and this many of their rows choose penalties and make logistic heads.
SAMPLE = 4096
# Tables of one launch. A CPU takes one after another anyway.
SLOTS = {"cuda": 64, "cpu": 4}
# Numbers that the factors of all penalties may be in one launch: 2 GiB, and as much again three times while they are made. They
# may take no more than this share of a GPU's memory.
CELLS, SHARE = 2**28, 1 / 8
# Columns and rows are rounded up to multiples of this, so that every matrix of a launch lies aligned alike.
STEP = 16
# The least total variance of a group, as `floor.group_scale` has it.
LEAST_VARIANCE = 1e-9
# The share of its second moment that a group's variance is at least taken for, where it comes from sums in float32.
ROUNDING = 2.0**-20


@dataclass(frozen=True, eq=False)
class Draw:
    """One draw of one table: what one pair of heads is solved for."""

    place: int
    encoded: Floats
    targets: Floats
    units: Units

    @property
    def size(self) -> Size:
        """Sizes of the launch that it goes into."""
        rows, columns = self.encoded.shape
        most = min(rows, SAMPLE)
        return Size(_rounded(most), _whole(columns), self.targets.shape[1], self.units.counts, most < rows)

    def at_hand(self) -> tuple[Floats, Floats]:
        """Rows and targets that go to the device: all of them, or a sample that is always the same."""
        rows = len(self.encoded)
        if rows <= SAMPLE:
            return self.encoded, self.targets
        sample = np.sort(np.random.default_rng(rows).permutation(rows)[:SAMPLE])
        return self.encoded[sample], self.targets[sample]


@dataclass(frozen=True)
class Size:
    """Sizes that draws of one launch share: rows and columns rounded up, outputs, units, and whether rows are a sample.

    Attributes:
        units: as `Units.counts`.
    """

    rows: int
    columns: int
    outputs: int
    units: tuple[int, int, int]
    sampled: bool

    @property
    def features(self) -> int:
        """Columns and units, and as many columns of zeros as make a multiple of STEP."""
        return _whole(self.columns + sum(self.units))

    def slots(self, device: torch.device) -> int:
        """Draws of one launch."""
        order = self.features if self.sampled else min(self.rows, self.features)
        cells = len(RATIOS) * (order * order + self.rows * self.outputs) + self.rows * order
        most = CELLS
        if device.type == "cuda":
            memory: int = torch.cuda.get_device_properties(device).total_memory
            most = min(most, int(memory * SHARE) // torch.float64.itemsize)
        return max(1, min(SLOTS[device.type], most // cells))


def _whole(count: int, step: int = STEP) -> int:
    """Up to a multiple."""
    return -(-count // step) * step


def _rounded(rows: int) -> int:
    """Up to a multiple of STEP, and of an eighth of the power of two below: few sizes, and never much waste."""
    return _whole(rows, max(STEP, 2 ** max(0, (rows - 1).bit_length() - 4)))


@dataclass(frozen=True, eq=False)
class Posed:
    """Problems on features less their mean (S, P), times their scale (S, P)."""

    problems: Problems
    mean: Tensor
    scale: Tensor


@dataclass(frozen=True, eq=False)
class Launch:
    """Draws of one size on the device, in float64.

    Attributes:
        features: (S, M, P) columns, units and zeros.
        targets: (S, M, K); mask: (S, M) one for a row and nil beyond a table's own.
    """

    size: Size
    draws: Sequence[Draw]
    features: Tensor
    targets: Tensor
    mask: Tensor

    @staticmethod
    def of(size: Size, draws: Sequence[Draw], device: torch.device) -> Launch:
        """Bring draws to the device and make their units there."""
        slots = len(draws)
        units = BatchUnits.of([draw.units for draw in draws], torch.device("cpu"))
        inputs = np.zeros((slots, size.rows, size.columns), np.float32)
        targets = np.zeros((slots, size.rows, size.outputs), np.float32)
        weight = np.zeros((slots, size.columns + 1, units.weight.columns[0]), np.float32)
        offset = np.zeros((slots, 1, units.leaf[0]), np.float32)
        mask = np.zeros((slots, size.rows), np.float32)
        for s, draw in enumerate(draws):
            x, y = draw.at_hand()
            inputs[s, : len(x), : x.shape[1]], targets[s, : len(x)], mask[s, : len(x)] = x, y, 1
            own = units.weight[s].numpy()
            weight[s, : x.shape[1]], weight[s, -1], offset[s] = own[:-1], own[-1], units.offset[s].numpy()
        given, told, own_weight, own_offset, real = (
            send(array, device).double() for array in (inputs, targets, weight, offset, mask)
        )
        hidden = torch.vmap(activate)(given, own_weight, own_offset)
        beyond = hidden.new_zeros(slots, size.rows, size.features - size.columns - hidden.shape[2])
        return Launch(size, draws, torch.cat([given, hidden, beyond], 2), told, real)

    def pose_rows(self, widths: Widths) -> Posed:
        """From the rows at hand, which are all."""
        count = self.mask.sum(1)[:, None]
        mean = (self.features * self.mask[:, :, None]).sum(1) / count
        centred = (self.features - mean[:, None]) * self.mask[:, :, None]
        scale = self._scale((centred**2).sum(1) / count, widths)
        return Posed(Problems.of_rows(centred * scale[:, None], self.targets, self.mask), mean, scale)

    def pose_sums(self, sums: Sequence[Sums], widths: Widths) -> Posed:
        """From sums over all rows; the rows at hand are a sample."""
        count = torch.tensor([len(draw.encoded) for draw in self.draws]).to(self.mask)
        summed = self.features.new_zeros(len(sums), self.size.features, self.size.features)
        crossed = self.features.new_zeros(len(sums), self.size.features, self.size.outputs)
        added = self.features.new_zeros(len(sums), self.size.features)
        told = torch.stack([own.targets for own in sums])
        for s, (draw, own) in enumerate(zip(self.draws, sums)):
            at = send(self._places(draw), added.device)
            summed[s, at[:, None], at], crossed[s, at], added[s, at] = own.gram, own.cross, own.features
        mean, target_mean = added / count[:, None], told / count[:, None]
        moments = summed.diagonal(dim1=1, dim2=2) / count[:, None]
        # A variance that is left of a float32 moment isn't known to less than its rounding, nor is their total.
        variance = torch.maximum(moments - mean**2, ROUNDING * moments)
        scale = self._scale(variance, widths)
        total = ((variance * scale**2).sum(1) * count).clamp(min=LEAST)
        centred = (summed - mean[:, :, None] * added[:, None]) * scale[:, :, None] * scale[:, None]
        cross = (crossed - mean[:, :, None] * told[:, None]) * scale[:, :, None]
        rows = (self.features - mean[:, None]) * self.mask[:, :, None] * scale[:, None]
        problems = Problems(rows, centred, cross, self.targets, self.mask, target_mean, count, total, None)
        return Posed(problems, mean, scale)

    def _scale(self, variance: Tensor, widths: Widths) -> Tensor:
        """`floor.group_scale` of variances (S, P)."""
        tanh, sparse, leaf = self.size.units
        dense = min(widths.dense, tanh)
        beyond = self.size.features - self.size.columns - sum(self.size.units)
        groups = torch.split(variance, [self.size.columns, dense, tanh - dense, sparse, leaf, beyond], dim=1)
        totals = [group.sum(1, keepdim=True).clamp(min=LEAST_VARIANCE).expand_as(group) for group in groups]
        totals[0] = totals[0] / SKIP**2
        return torch.cat(totals, 1).rsqrt()

    def _places(self, draw: Draw) -> NDArray[np.int64]:
        """Where a draw's own columns and units are among the features."""
        return np.concatenate([np.arange(draw.encoded.shape[1]), self.size.columns + np.arange(sum(self.size.units))])

    def solve(self, posed: Posed) -> Iterator[Heads | None]:
        """Heads of every draw; None where they aren't finite."""
        problems = posed.problems
        if self.size.outputs == 1:
            solved = [regression_heads(problems)]
        else:
            ridge = classification_heads(problems)
            solved = [ridge, logistic_heads(problems, ridge)]
        weight = problems.weights(torch.cat([head.coordinates for head in solved], 2)) * posed.scale[:, :, None]
        bias = torch.cat([head.offset for head in solved], 1) - (posed.mean[:, None] @ weight)[:, 0]
        for draw, w, b in zip(self.draws, weight.float().cpu().numpy(), bias.float().cpu().numpy()):
            own = w[self._places(draw)].reshape(-1, len(solved), self.size.outputs)
            made = Heads(np.ascontiguousarray(own.transpose(1, 0, 2)), b.reshape(len(solved), -1).copy())
            yield made if np.isfinite(made.weight).all() and np.isfinite(made.bias).all() else None
