"""Multinomial logistic heads of many tables of one size at once, solved to convergence in float64.

L-BFGS as in logistic.py, all tables in step. Where that one has a spectrum, in whose coordinates the Hessian is nearly
diagonal, this one has the Cholesky factor of a matrix near the Hessian; with two classes the first step is nearly Newton's.

Shape letters: S tables, M rows, R coordinates, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch  # noqa: TID251 - for the GPU server, as the kernels
from torch import Tensor  # noqa: TID251

from modelgpt_edge.parameters.batched_ridge import Heads, Problems, add_diagonal, inverse_factor
from modelgpt_edge.parameters.logistic import MEMORY, PENALTY, STEPS, TOLERANCE

# Added to every row's curvature, over the number of classes: directions stay alive in which all rows are surely right.
SURE = 0.02
# Steps after which the metric is made anew: rows that have become sure bend the loss no more.
RENEWED = 8
# The least share of a step that the line search tries.
SHORTEST = 1e-3


def logistic_heads(problems: Problems, start: Heads) -> Heads:
    """Logistic heads, warm-started from the ridge heads.

    Where the rows at hand are a sample, their loss is raised to that of all rows.
    """
    penalty = PENALTY * start.penalty * problems.mask.sum(1) / problems.count
    first = torch.cat([start.coordinates, start.offset[:, None]], 1)
    solved = solve_logistic(problems.rows, problems.targets, problems.mask, penalty, first)
    return Heads(solved[:, :-1], solved[:, -1], penalty)


def solve_logistic(rows: Tensor, targets: Tensor, mask: Tensor, penalty: Tensor, start: Tensor) -> Tensor:
    """Minimise `logistic.solve_logistic`'s objective for every table, to its tolerance; W (S, R + 1, K).

    What has converged stands still while others go on, so a table's solution doesn't depend on the others.

    Args:
        rows: (S, M, R), nil beyond a table's own; mask: (S, M) one for its own rows and nil beyond.
        targets: (S, M, K) of classes, nil beyond.
        penalty: (S,); start: (S, R + 1, K), the last row an unpenalised intercept.
    """
    objective = _Objective(torch.cat([rows, mask[:, :, None]], 2), targets, mask, penalty)
    at = objective.at(start)
    history: list[tuple[Tensor, Tensor, Tensor]] = []
    active = torch.ones_like(penalty, dtype=torch.bool)
    idle = torch.zeros_like(penalty, dtype=torch.int64)
    enough = TOLERANCE * mask.sum(1)
    for step in range(STEPS):
        if step % RENEWED == 0:
            metric = _Metric.of(rows, mask, penalty, at.shares)
        new = _search(objective, at, -_precondition(at.gradient, history, metric), active)
        active = active & (new.loss < at.loss)
        if not active.any():
            break
        change, turn = new.w - at.w, new.gradient - at.gradient
        product = _inner(change, turn)
        history = [*history[-(MEMORY - 1) :], (change, turn, torch.where(product > 0, 1 / product, 0))]
        idle = torch.where(at.loss - new.loss <= enough, idle + 1, 0)
        at = new.where(active, at)
        active = active & (idle < 2)
        if not active.any():
            break
    return at.w


@dataclass(frozen=True, eq=False)
class _Point:
    """W (S, R + 1, K), loss (S,), gradient (S, R + 1, K) and shares of the classes (S, M, K) there."""

    w: Tensor
    loss: Tensor
    gradient: Tensor
    shares: Tensor

    def where(self, chosen: Tensor, other: _Point) -> _Point:
        """This point for the tables chosen (S,), the other one for the rest."""
        wide = chosen[:, None, None]
        return _Point(
            torch.where(wide, self.w, other.w),
            torch.where(chosen, self.loss, other.loss),
            torch.where(wide, self.gradient, other.gradient),
            torch.where(wide, self.shares, other.shares),
        )


class _Objective:
    """Log loss summed over rows (S, M, R + 1), the last column being the mask, plus half the penalty times the squares."""

    def __init__(self, rows: Tensor, targets: Tensor, mask: Tensor, penalty: Tensor) -> None:
        self._rows, self._targets, self._mask = rows, targets, mask
        self._penalty = penalty[:, None, None].repeat(1, rows.shape[2], 1)
        self._penalty[:, -1] = 0

    def at(self, w: Tensor) -> _Point:
        logits = self._rows @ w
        losses = (torch.logsumexp(logits, 2) - (logits * self._targets).sum(2)) * self._mask
        shares = torch.softmax(logits, 2) * self._mask[:, :, None]
        gradient = self._rows.mT @ (shares - self._targets) + self._penalty * w
        return _Point(w, losses.sum(1) + 0.5 * _inner(self._penalty * w, w), gradient, shares)


@dataclass(frozen=True, eq=False)
class _Metric:
    """The inverse of a matrix near the Hessian, one for all classes.

    A row's Hessian in the logits is diag(p) - p p'; the mean c of its K - 1 eigenvalues that aren't nil stands for it. About
    means weighted by c the intercept is on its own.

    Attributes:
        inverse: L^-1 (S, R, R) of ``Z' diag(c) Z + penalty``, Z centred so.
        mean: (S, R); total: (S,) sum of c.
    """

    inverse: Tensor
    mean: Tensor
    total: Tensor

    @staticmethod
    def of(rows: Tensor, mask: Tensor, penalty: Tensor, shares: Tensor) -> _Metric:
        classes = shares.shape[2]
        curvature = ((shares * (1 - shares)).sum(2) / (classes - 1) + SURE / classes) * mask
        total = curvature.sum(1)
        mean = (rows * curvature[:, :, None]).sum(1) / total[:, None]
        centred = (rows - mean[:, None]) * curvature.sqrt()[:, :, None]
        return _Metric(inverse_factor(add_diagonal(centred.mT @ centred, penalty)), mean, total)

    def __call__(self, gradient: Tensor) -> Tensor:
        """The step (S, R + 1, K) that it makes of a gradient."""
        slope, shift = gradient[:, :-1], gradient[:, -1:]
        step = self.inverse.mT @ (self.inverse @ (slope - self.mean[:, :, None] * shift))
        return torch.cat([step, shift / self.total[:, None, None] - self.mean[:, None] @ step], 1)


def _search(objective: _Objective, at: _Point, direction: Tensor, active: Tensor) -> _Point:
    """Along a direction, backtracking by halves where a table's loss doesn't fall by enough."""
    slope, length = _inner(direction, at.gradient), torch.ones_like(at.loss)
    new = objective.at(at.w + direction)
    while True:
        long = active & (new.loss > at.loss + 1e-4 * length * slope) & (length > SHORTEST)
        if not long.any():
            return new
        length = torch.where(long, length / 2, length)
        new = objective.at(at.w + length[:, None, None] * direction).where(long, new)


def _precondition(gradient: Tensor, history: list[tuple[Tensor, Tensor, Tensor]], metric: _Metric) -> Tensor:
    """Nocedal and Wright, algorithm 7.4; a step without curvature has a reciprocal of nil and says nothing."""
    q, alphas = gradient, []
    for change, turn, reciprocal in reversed(history):
        alphas.append(reciprocal * _inner(change, q))
        q = q - alphas[-1][:, None, None] * turn
    q = metric(q)
    for (change, turn, reciprocal), alpha in zip(history, reversed(alphas)):
        q = q + (alpha - reciprocal * _inner(turn, q))[:, None, None] * change
    return q


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((1, 2))
