"""Ridge heads by one eigendecomposition, tuned by their exact leave-one-out predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Floats
from modelgpt_edge.kernels.gram import GramSums
from modelgpt_edge.parameters.likelihood import smoothed_loss, temperature

# Penalties tried, as shares of the features' total variance, half a decade apart.
RATIOS = np.logspace(-6, 1, 15)
# Below this share of the largest eigenvalue a direction of a float32 Gram matrix is rounding noise.
NOISE = 1e-7


@dataclass(frozen=True)
class Problem:
    """A least-squares problem in the coordinates of its features' spectrum, centred features F = U diag(s) V'.

    Attributes:
        left: U (M, R) of the rows at hand: all rows, or a sample of those that were summed.
        right: V (P, R).
        values: s (R,), descending.
        projected: U' Y (R, K) over all rows, targets centred.
        targets: (M, K) of the rows at hand.
        feature_mean, target_mean: (P,), (K,) over all rows.
        rows: N, the number of rows summed.
    """

    left: Floats
    right: Floats
    values: Floats
    projected: Floats
    targets: Floats
    feature_mean: Floats
    target_mean: Floats
    rows: int

    @property
    def total(self) -> float:
        """Total variance times rows: the yardstick of the penalties."""
        return float((self.values**2).sum(dtype=np.float64))

    def weights(self, coordinates: Floats, offset: Floats) -> tuple[Floats, Floats]:
        """Weights (P, K) and bias (K,) on the features, of a solution (R, K) in the directions of V."""
        weight = self.right @ coordinates
        return weight, offset - self.feature_mean @ weight


def decompose(features: Floats, targets: Floats) -> Problem:
    """The problem of features (N, P) and targets (N, K), by one eigendecomposition of the smaller Gram matrix."""
    mean, target_mean = features.mean(0), targets.mean(0)
    centred = features - mean
    if len(centred) <= centred.shape[1]:
        # Centred rows sum to nothing, so one direction of them is rounding noise.
        squared, left = _eigh(centred @ centred.T, len(centred) - 1)
        values = np.sqrt(squared)
        right = (centred.T @ left) / values
    else:
        squared, right = _eigh(centred.T @ centred, centred.shape[1])
        values = np.sqrt(squared)
        left = (centred @ right) / values
    return Problem(left, right, values, left.T @ (targets - target_mean), targets, mean, target_mean, len(targets))


def decompose_sums(sums: GramSums, features: Floats, targets: Floats) -> Problem:
    """The problem of rows that were only summed; features (M, P) and targets (M, K) are a sample of them."""
    mean = (sums.features / sums.rows).astype(np.float32)
    target_mean = (sums.targets / sums.rows).astype(np.float32)
    gram = sums.gram - np.outer(sums.features, sums.features) / sums.rows
    cross = sums.cross - np.outer(sums.features, sums.targets) / sums.rows
    squared, right = _eigh(gram, len(gram))
    values = np.sqrt(squared)
    left = ((features - mean) @ right) / values
    projected = ((right.T @ cross) / values[:, None]).astype(np.float32)
    return Problem(left, right, values, projected, targets, mean, target_mean, sums.rows)


def _eigh(gram: NDArray[np.floating], most: int) -> tuple[Floats, Floats]:
    """Eigenvalues (R,), the largest first, and vectors (P, R), at most so many; those that are rounding noise are left out."""
    squared, vectors = np.linalg.eigh(gram.astype(np.float64))
    keep = max(1, min(most, int((squared > squared[-1] * NOISE).sum())))
    squared = np.maximum(squared[::-1][:keep], 1e-12)
    return squared.astype(np.float32), np.ascontiguousarray(vectors[:, ::-1][:, :keep], dtype=np.float32)


@dataclass(frozen=True)
class RidgeHead:
    """A solved head in the directions of V: coordinates (R, K), offset (K,), and the penalty that won."""

    coordinates: Floats
    offset: Floats
    penalty: float


def leave_one_out(problem: Problem, penalties: NDArray[np.float64]) -> Floats:
    """Exact leave-one-out predictions (len(penalties), M, K) of ridge with an unpenalised intercept.

    The PRESS identity: y_i - f_i = (y_i - fhat_i) / (1 - h_ii), h the hat matrix with the intercept's 1 / N. Residuals
    and 1 - h are summed from what the penalty takes away, in float64: near interpolation both vanish together.
    """
    rows, outputs = problem.targets.shape
    left, projected = problem.left.astype(np.float64), problem.projected.astype(np.float64)
    squared = problem.values.astype(np.float64) ** 2
    taken = penalties[:, None] / (squared + penalties[:, None])  # (L, R)
    spread = (taken[:, :, None] * projected).transpose(1, 0, 2).reshape(len(squared), -1)  # (R, L * K)
    outside = (problem.targets - problem.target_mean) - left @ projected
    residual = (left @ spread).reshape(rows, len(penalties), outputs).transpose(1, 0, 2) + outside
    free = np.maximum(1 - 1 / problem.rows - (left**2).sum(1), 0) + taken @ (left**2).T  # (L, M): 1 - h
    return (problem.targets - residual / np.maximum(free, 1e-9)[:, :, None]).astype(np.float32)


def classification_head(problem: Problem) -> RidgeHead:
    """Ridge on one-hot targets; penalty and temperature by leave-one-out likelihood.

    The coordinates and the offset are those of logits: the temperature is already in them.
    """
    truth = problem.targets.argmax(1).astype(np.int32)
    penalties = RATIOS * problem.total
    best, best_loss, factor = 0, np.inf, 5.0
    factors = []
    for i, scores in enumerate(leave_one_out(problem, penalties)):
        factor = temperature(scores, truth, start=factor)
        factors.append(factor)
        loss = smoothed_loss(scores * np.float32(factor), truth)
        if loss < best_loss:
            best, best_loss = i, loss
    head = _solve(problem, penalties[best])
    scale = np.float32(factors[best])
    return RidgeHead(head.coordinates * scale, head.offset * scale, head.penalty)


def regression_head(problem: Problem) -> RidgeHead:
    """Ridge on values; penalty by leave-one-out squared error."""
    penalties = RATIOS * problem.total
    errors = ((leave_one_out(problem, penalties) - problem.targets) ** 2).mean((1, 2))
    return _solve(problem, penalties[int(errors.argmin())])


def _solve(problem: Problem, penalty: float) -> RidgeHead:
    gain = (problem.values / (problem.values.astype(np.float64) ** 2 + penalty)).astype(np.float32)
    return RidgeHead(gain[:, None] * problem.projected, problem.target_mean, float(penalty))
