"""What batched Gram sums take and give: hidden units of many tables in dense form, and one matrix of sums a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch  # noqa: TID251 - operands are torch tensors
from torch import Tensor  # noqa: TID251

from modelgpt_edge.child import Floats, Ints, Units
from modelgpt_edge.kernels.gram.host import GramSums
from modelgpt_edge.kernels.ragged import Longs, Ragged
from modelgpt_edge.kernels.transfer import send


@dataclass(frozen=True, eq=False)
class BatchUnits:
    """Hidden units of G tables, every one over all D columns of its table.

    Sparse units are written out to dense ones: a table's columns are few beside its rows, and one form fills whole tiles.

    Attributes:
        weight: (D + 1, T + 3 H) each, ``[x, 1] W``, the bias being the last row: T of ``tanh``, then 3 H of ``sigmoid``, of
            which h, H + h and 2 H + h belong to leaf unit h.
        offset: (1, H) each; ``relu(sum of three sigmoids - offset)``.
    """

    weight: Ragged
    offset: Ragged

    @staticmethod
    def of(units: Sequence[Units], place: torch.device) -> BatchUnits:
        """Units of children, in their order: dense, sparse, leaf."""
        offsets = [u.leaf_offset.reshape(1, -1) for u in units]
        return BatchUnits(_send([_dense(u) for u in units], place), _send(offsets, place))

    @property
    def leaf(self) -> Longs:
        """H (G,)."""
        return self.offset.columns

    @property
    def tanh(self) -> Longs:
        """T (G,)."""
        return self.weight.columns - 3 * self.leaf

    @property
    def unit(self) -> int:
        """The largest power of two up to 16 that divides offsets of the weights, T and H."""
        return int(np.gcd.reduce(np.concatenate([[self.weight.unit], self.leaf])))


def _send(arrays: Sequence[Floats], place: torch.device) -> Ragged:
    host = Ragged.of([torch.from_numpy(a) for a in arrays])
    return Ragged(send(host.data.numpy(), place), host.offset, host.rows, host.columns)


def _dense(units: Units) -> Floats:
    width, size = len(units.dense_weight), units.leaf_offset.shape[1]
    dense = np.concatenate([units.dense_weight, units.dense_bias[None]])
    sparse = _scatter(units.sparse_column, units.sparse_weight, units.sparse_bias, width)
    steps = _scatter(units.leaf_column, units.leaf_slope, units.leaf_bias, width)
    # Three steps of B units each in a group, to all first steps, all second, all third.
    steps = steps.reshape(width + 1, -1, 3, size).transpose(0, 2, 1, 3).reshape(width + 1, -1)
    return np.concatenate([dense, sparse, steps], axis=1)


def _scatter(column: Ints, weight: Floats, bias: Floats, width: int) -> Floats:
    """Groups of weights (G, 8, B) on columns (G, 8), biases (G, B), as (D + 1, G B)."""
    groups, size = bias.shape
    out = np.zeros((groups, width + 1, size), np.float32)
    # A column that stands twice among the eight counts twice.
    np.add.at(out, (np.arange(groups)[:, None], column), weight)
    out[:, width] = bias
    return out.transpose(1, 0, 2).reshape(width + 1, -1)


class Sums(NamedTuple):
    """Views of one table's sums: gram (P, P), cross (P, K), features (P,), targets (K,); P counts inputs and units."""

    gram: Tensor
    cross: Tensor
    features: Tensor
    targets: Tensor


@dataclass(frozen=True, eq=False)
class BatchSums:
    """Sums of G tables as the Gram matrices of [X, tanh units, leaf units, 1, Y].

    Attributes:
        matrix: (P + 1 + K, P + 1 + K) float64 each, symmetric.
        rows: (G,) rows summed.
        features: (G,) P, inputs and units.
    """

    matrix: Ragged
    rows: Longs
    features: Longs

    def __getitem__(self, group: int) -> Sums:
        matrix, p = self.matrix[group], int(self.features[group])
        return Sums(matrix[:p, :p], matrix[:p, p + 1 :], matrix[p, :p], matrix[p, p + 1 :])

    def host(self, group: int) -> GramSums:
        """One table's sums as the solver on the host takes them."""
        gram, cross, features, targets = (part.cpu().numpy() for part in self[group])
        return GramSums(gram, cross, features, targets, int(self.rows[group]))
