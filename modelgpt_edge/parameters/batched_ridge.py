"""Ridge heads of many tables of one size at once, by Cholesky factors in float64 and their exact leave-one-out predictions.

As ridge.py, whose eigendecomposition a GPU would do table after table; a factor for each penalty is nearly all matrix products
and takes all tables at once.

Shape letters: S tables, L penalties, M rows at hand, P features, R coordinates, K outputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch  # noqa: TID251 - for the GPU server, as the kernels
from torch import Tensor  # noqa: TID251

from modelgpt_edge.parameters.likelihood import PSEUDO_ROWS
from modelgpt_edge.parameters.ridge import RATIOS

# Matrices of this size and smaller are factored by the library; of larger ones, products do the work.
LEAF = 32
# Where temperatures begin, and how many Newton steps on their logarithms they take.
START, NEWTON = 5.0, 12
# Added to the diagonal of a kernel matrix as a share of its trace, a thousandth of the smallest penalty: centred rows always
# leave one direction without variance, and a factor needs some.
JITTER = 1e-9
# The least total variance that penalties are shares of: constant features have none.
LEAST = 1e-9


@dataclass(frozen=True, eq=False)
class Problems:
    """Least-squares problems of S tables in coordinates Z: rows (M, R) whose products are those of the centred features F.

    Of tables with no more rows than features Z is the factor of the kernel matrix, ``Z Z' = F F'``, so that everything is of
    the size of the rows; otherwise Z is F.

    Attributes:
        rows: Z (S, M, R); nil beyond a table's rows.
        gram: F F' + t 1 1' / N (S, M, M), t being the total, or F'F (S, P, P), of all rows.
        cross: what it is solved for: centred targets (S, M, K), or F'Y (S, P, K) over all rows.
        targets: (S, M, K); mask: (S, M) one for a row and nil beyond.
        target_mean: (S, K) over all rows; count: (S,) all rows.
        total: (S,) total variance times rows.
        back: ``F' Z^-T``, (S, P, R) from a solution in coordinates to weights on the features; None where Z is F.
    """

    rows: Tensor
    gram: Tensor
    cross: Tensor
    targets: Tensor
    mask: Tensor
    target_mean: Tensor
    count: Tensor
    total: Tensor
    back: Tensor | None

    @staticmethod
    def of_rows(features: Tensor, targets: Tensor, mask: Tensor) -> Problems:
        """From all rows: features (S, M, P), centred and nil beyond a table's rows."""
        count = mask.sum(1)
        mean = (targets * mask[:, :, None]).sum(1) / count[:, None]
        centred = (targets - mean[:, None]) * mask[:, :, None]
        total = (features**2).sum((1, 2)).clamp(min=LEAST)
        if features.shape[1] > features.shape[2]:
            gram, cross = features.mT @ features, features.mT @ centred
            return Problems(features, gram, cross, targets, mask, mean, count, total, None)
        kernel = features @ features.mT
        raised = add_diagonal(kernel, JITTER * total)
        inverse = inverse_factor(raised)
        rows, back = (raised @ inverse.mT) * mask[:, :, None], features.mT @ inverse.mT
        # The mean of all rows is no direction of centred ones. Given a variance, it takes no part in what nearly cancels.
        lifted = kernel + (total / count)[:, None, None] * mask[:, :, None] * mask[:, None]
        return Problems(rows, lifted, centred, targets, mask, mean, count, total, back)

    def coordinates(self, solved: Tensor) -> Tensor:
        """Coordinates (S, R, K) of a solution (S, n, K) of the Gram matrix."""
        return solved if self.back is None else self.rows.mT @ solved

    def weights(self, coordinates: Tensor) -> Tensor:
        """Weights (S, P, J) on the features, of solutions (S, R, J)."""
        return coordinates if self.back is None else self.back @ coordinates


@dataclass(frozen=True, eq=False)
class Heads:
    """Solved heads in coordinates (S, R, K), offsets (S, K), and the penalties (S,) that won."""

    coordinates: Tensor
    offset: Tensor
    penalty: Tensor


def classification_heads(problems: Problems) -> Heads:
    """Ridge on one-hot targets; penalty and temperature by leave-one-out likelihood, the temperature being in the solution."""
    penalties = _penalties(problems)
    solutions, scores = leave_one_out(problems, penalties)
    targets, mask = problems.targets[:, None], problems.mask[:, None]
    factors = temperatures(scores, targets, mask)
    losses = smoothed_losses(scores * factors[..., None, None], targets, mask)
    best = _least(losses)
    factor = _pick(factors, best)
    coordinates = problems.coordinates(_pick(solutions, best))
    return Heads(coordinates * factor[:, None, None], problems.target_mean * factor[:, None], _pick(penalties, best))


def regression_heads(problems: Problems) -> Heads:
    """Ridge on values; penalty by leave-one-out squared error."""
    penalties = _penalties(problems)
    solutions, predictions = leave_one_out(problems, penalties)
    errors = (((predictions - problems.targets[:, None]) * problems.mask[:, None, :, None]) ** 2).sum((2, 3))
    best = _least(errors)
    return Heads(problems.coordinates(_pick(solutions, best)), problems.target_mean, _pick(penalties, best))


def _penalties(problems: Problems) -> Tensor:
    """(S, L)."""
    return problems.total[:, None] * torch.from_numpy(RATIOS).to(problems.total)


def _least(losses: Tensor) -> Tensor:
    """The first of the least among (S, L); where a matrix had no factor the loss is NaN and the penalty passed over."""
    return torch.where(losses.isnan(), torch.inf, losses).argmin(1)


def _pick(values: Tensor, at: Tensor) -> Tensor:
    """Of values (S, L, ...) those at (S,)."""
    return values[torch.arange(len(at), device=at.device), at]


def leave_one_out(problems: Problems, penalties: Tensor) -> tuple[Tensor, Tensor]:
    """Ridge with a free intercept under penalties (S, L): solutions (S, L, n, K), leave-one-out predictions (S, L, M, K).

    Solutions are those of the Gram matrix (n, n): weights on the features, or on the rows.

    The PRESS identity: y_i - f_i = (y_i - fhat_i) / (1 - h_ii), h the hat matrix with the intercept's 1 / N. By the kernel
    matrix G, residuals are a (G + a)^-1 Y under a penalty a, and 1 - h_ii is the diagonal of a (G + a)^-1 less what the lifted
    mean has in it: near interpolation both vanish together, and neither is the difference of larger numbers.
    """
    inverse = inverse_factor(add_diagonal(problems.gram[:, None], penalties))  # (S, L, n, n)
    solved = inverse.mT @ (inverse @ problems.cross[:, None])
    if problems.back is not None:
        residual = penalties[:, :, None, None] * solved
        lifted = penalties / (penalties + problems.total[:, None]) / problems.count[:, None]
        free = penalties[:, :, None] * (inverse**2).sum(2) - lifted[:, :, None]
    else:
        outside = problems.targets - problems.target_mean[:, None]
        residual = torch.stack([outside - problems.rows @ w for w in solved.unbind(1)], 1)
        taken = [1 - (1 / problems.count)[:, None] - ((problems.rows @ factor.mT) ** 2).sum(2) for factor in inverse.unbind(1)]
        free = torch.stack(taken, 1)
    return solved, problems.targets[:, None] - residual / free.clamp(min=1e-9)[..., None]


def smoothed_losses(logits: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """`likelihood.smoothed_loss` of logits (..., M, K), one-hot targets (..., M, K) and rows masked (..., M)."""
    rows = mask.sum(-1)
    told = _told(logits, targets, rows)
    return ((torch.logsumexp(logits, -1) - told) * mask).sum(-1) / rows


def temperatures(logits: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """`likelihood.temperature` of logits (..., M, K), one-hot targets (..., M, K) and rows masked (..., M): factors (...)."""
    rows = mask.sum(-1)
    target = _told(logits, targets, rows)
    log_factor = torch.full(logits.shape[:-2], math.log(START), dtype=logits.dtype, device=logits.device)
    for _ in range(NEWTON):
        factor = log_factor.exp()
        p = torch.softmax(logits * factor[..., None, None], -1)
        mean = (p * logits).sum(-1)
        variance = (((p * logits**2).sum(-1) - mean**2) * mask).sum(-1) / rows
        first = factor * ((mean - target) * mask).sum(-1) / rows
        step = -first / (factor**2 * variance + first.clamp(min=0) + 1e-9)
        log_factor = (log_factor + step.clamp(-1, 1)).clamp(-4, 6)
    return log_factor.exp()


def _told(logits: Tensor, targets: Tensor, rows: Tensor) -> Tensor:
    """Logits (..., M) of the true class, a share of every row being of unknown class."""
    share = (PSEUDO_ROWS / rows)[..., None]
    return (1 - share) * (logits * targets).sum(-1) + share * logits.mean(-1)


def inverse_factor(matrix: Tensor) -> Tensor:
    """L^-1 of positive definite matrices A = L L' (..., n, n), by halves; NaN where a matrix isn't positive definite."""
    size = matrix.shape[-1]
    if size <= LEAF:
        factor, broken = torch.linalg.cholesky_ex(matrix)
        factor = torch.where(broken[..., None, None] > 0, torch.nan, factor)
        unit = torch.eye(size, dtype=matrix.dtype, device=matrix.device).expand(matrix.shape)
        return torch.linalg.solve_triangular(factor, unit, upper=False)
    half = -(-size // (2 * LEAF)) * LEAF
    first = inverse_factor(matrix[..., :half, :half])
    below = matrix[..., half:, :half] @ first.mT
    second = inverse_factor(matrix[..., half:, half:] - below @ below.mT)
    out = torch.zeros_like(matrix)
    out[..., :half, :half] = first
    out[..., half:, half:] = second
    out[..., half:, :half] = -second @ (below @ first)
    return out


def add_diagonal(matrix: Tensor, value: Tensor) -> Tensor:
    """Matrices (..., n, n) with a number (...) added to all of each one's diagonal."""
    return matrix + torch.diag_embed(value[..., None].expand(*value.shape, matrix.shape[-1]))
