"""A child as one flat vector of trainable numbers, and the hand-written gradient of its loss in them.

The encoder, which columns a unit reads, the leaves' offsets and the steps that are off are structure: they are not in the
vector, so no gradient step can move them. numpy alone, so that a build may import this.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Child, Floats, softmax

# A leaf is the AND of this many steps, the unused ones off.
STEPS = 3
Places = NDArray[np.intp]


@dataclass(frozen=True)
class Structure:
    """What is fixed in a child, and where its Q trainable numbers stand in a vector.

    The vector holds, one after the other: dense weights; dense biases; sparse and leaf weights that are not zero; biases of
    those sparse units and leaf steps that read a column; head weights; head biases. All functions keep the vector's precision.

    Attributes:
        child: the one that the structure was taken from.
        weights: flat places of the sparse and leaf weights in a matrix (D, G B + 3 H B): sparse units, then steps of the first
            rank of all leaves, the second, the third.
        biases: places of their biases in its columns.
        off: (G B + 3 H B,) biases of the columns that read nothing; the others zero.
        cuts: where the vector's parts end, but for the last.
    """

    child: Child
    weights: Places
    biases: Places
    off: Floats
    cuts: tuple[int, ...]

    @staticmethod
    def of(child: Child) -> Structure:
        """The structure of a child."""
        units = child.units
        sparse, leaves = units.sparse_bias.size, units.leaf_offset.size
        unit = np.arange(sparse).reshape(units.sparse_bias.shape)
        groups, steps = units.leaf_bias.shape
        size = steps // STEPS
        ranks = np.arange(STEPS)[:, None] * leaves + np.arange(size)
        step = sparse + size * np.arange(groups)[:, None] + ranks.reshape(steps)  # (H, 3 B)
        columns = sparse + STEPS * leaves

        sparse_used, leaf_used = _used(child)
        places = [
            (column[:, :, None].astype(np.intp) * columns + at[:, None])[used]
            for column, at, used in ((units.sparse_column, unit, sparse_used), (units.leaf_column, step, leaf_used))
        ]
        off = np.zeros(columns, np.float32)
        off[unit], off[step] = units.sparse_bias, units.leaf_bias
        biases = np.concatenate([unit[sparse_used.any(1)], step[leaf_used.any(1)]])
        off[biases] = 0
        weights = np.concatenate(places)
        counts = [units.dense_weight.size, units.dense_bias.size, len(weights), len(biases), child.head_weight.size]
        return Structure(child, weights, biases, off, tuple(np.cumsum(counts).tolist()))

    def pack(self) -> Floats:
        """The vector (Q,) of the child that the structure was taken from."""
        units = self.child.units
        sparse, leaf = _used(self.child)
        parts = [
            units.dense_weight.ravel(),
            units.dense_bias,
            units.sparse_weight[sparse],
            units.leaf_slope[leaf],
            units.sparse_bias[sparse.any(1)],
            units.leaf_bias[leaf.any(1)],
            self.child.head_weight.ravel(),
            self.child.head_bias,
        ]
        return np.concatenate(parts)

    def unpack(self, vector: Floats) -> Child:
        """The child of a vector (Q,)."""
        dense, dense_bias, weights, biases, head, head_bias = np.split(vector.astype(np.float32), self.cuts)
        units, (sparse, leaf) = self.child.units, _used(self.child)
        sparse_weight, leaf_slope = _filled(sparse, weights[: sparse.sum()]), _filled(leaf, weights[sparse.sum() :])
        reads, steps = sparse.any(1), leaf.any(1)
        sparse_bias, leaf_bias = units.sparse_bias.copy(), units.leaf_bias.copy()
        sparse_bias[reads], leaf_bias[steps] = biases[: reads.sum()], biases[reads.sum() :]
        units = replace(
            units,
            dense_weight=dense.reshape(units.dense_weight.shape),
            dense_bias=dense_bias,
            sparse_weight=sparse_weight,
            sparse_bias=sparse_bias,
            leaf_slope=leaf_slope,
            leaf_bias=leaf_bias,
        )
        return replace(self.child, units=units, head_weight=head.reshape(self.child.head_weight.shape), head_bias=head_bias)

    def scores(self, vector: Floats, encoded: Floats) -> Floats:
        """Scores (N, K) of encoded rows (N, D)."""
        return self._forward(vector, encoded).scores

    def gradient(self, vector: Floats, encoded: Floats, targets: Floats) -> Floats:
        """Gradient (Q,) of the mean loss of encoded rows (N, D): cross-entropy against classes, squared error of values.

        Args:
            targets: one-hot classes (N, K), or values (N, 1).
        """
        run = self._forward(vector, encoded)
        wide, tanh = self._widths
        if targets.shape[1] > 1:
            error = (softmax(run.scores) - targets) / len(encoded)
        else:
            error = 2 * (run.scores - targets) / len(encoded)
        error = error.astype(vector.dtype)
        back = error @ run.head[encoded.shape[1] :].T
        bent = back[:, :tanh] * (1 - run.hidden[:, :tanh] ** 2)
        # A leaf at or below zero passes nothing on; a step is sigmoid(z) = (1 + t) / 2 and its slope (1 - t^2) / 4.
        passed = back[:, tanh:] * (run.hidden[:, tanh:] > 0) / 4
        steps = (1 - run.steps**2) * passed[:, None]
        narrow = np.concatenate([bent[:, wide:], steps.reshape(len(encoded), -1)], axis=1)
        parts = [
            (encoded.T @ bent[:, :wide]).ravel(),
            bent[:, :wide].sum(0),
            (encoded.T @ narrow).ravel()[self.weights],
            narrow.sum(0)[self.biases],
            (encoded.T @ error).ravel(),
            (run.hidden.T @ error).ravel(),
            error.sum(0),
        ]
        return np.concatenate(parts)

    @property
    def _widths(self) -> tuple[int, int]:
        """Dense units, and dense and sparse ones."""
        dense, sparse, _ = self.child.units.counts
        return dense, dense + sparse

    def _forward(self, vector: Floats, encoded: Floats) -> _Run:
        dense, dense_bias, weights, biases, head, head_bias = np.split(vector, self.cuts)
        width, kind = encoded.shape[1], vector.dtype.type
        wide, tanh = self._widths
        # Eight columns a group are few, but one large product is faster than many small ones.
        narrow = np.zeros((width, len(self.off)), vector.dtype)
        np.add.at(narrow.reshape(-1), self.weights, weights)
        bias = self.off.astype(vector.dtype)
        bias[self.biases] = biases
        before = encoded @ narrow + bias
        steps = np.tanh(before[:, tanh - wide :] * kind(0.5)).reshape(len(encoded), STEPS, -1)
        bent = np.tanh(np.concatenate([encoded @ dense.reshape(width, wide) + dense_bias, before[:, : tanh - wide]], axis=1))
        leaf = np.maximum((steps.sum(1) + STEPS) * kind(0.5) - self.child.units.leaf_offset.ravel(), 0)
        hidden = np.concatenate([bent, leaf], axis=1)
        head = head.reshape(width + hidden.shape[1], -1)
        return _Run(hidden, steps, head, encoded @ head[:width] + hidden @ head[width:] + head_bias)


class _Run(NamedTuple):
    """A forward pass: units (N, P), ``tanh(z / 2)`` of the steps (N, 3, H B), head weight (D + P, K) and scores (N, K)."""

    hidden: Floats
    steps: Floats
    head: Floats
    scores: Floats


def _used(child: Child) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which sparse (G, 8, B) and leaf (H, 8, 3 B) weights are not zero."""
    return child.units.sparse_weight != 0, child.units.leaf_slope != 0


def _filled(used: NDArray[np.bool_], values: Floats) -> Floats:
    block = np.zeros(used.shape, np.float32)
    block[used] = values
    return block
