"""Multinomial logistic heads solved to convergence, in the coordinates of the ridge spectrum.

In those coordinates the Hessian is nearly diagonal, so a diagonally preconditioned L-BFGS takes a dozen steps.
"""

from __future__ import annotations

import numpy as np

from modelgpt_edge.child import Floats
from modelgpt_edge.parameters.ridge import Problem, RidgeHead

# Penalty as a share of the ridge head's: level with choosing it by cross-validation on the development sets.
PENALTY = 0.3
MEMORY = 8
STEPS = 200
TOLERANCE = 2e-5


def logistic_head(problem: Problem, start: RidgeHead) -> tuple[Floats, Floats]:
    """The logistic head, coordinates (R, K) and offset (K,), warm-started from the ridge head."""
    coordinates = problem.left * problem.values
    first = np.concatenate([start.coordinates, start.offset[None]])
    # The ridge penalty is for all rows; those at hand may be a sample of them.
    penalty = PENALTY * start.penalty * len(coordinates) / problem.rows
    w = solve_logistic(coordinates, problem.targets, penalty, first)
    return w[:-1], w[-1]


def solve_logistic(
    coordinates: Floats,
    targets: Floats,
    penalty: float,
    start: Floats,
    tolerance: float = TOLERANCE,
    steps: int = STEPS,
    offset: Floats | float = 0.0,
) -> Floats:
    """Minimise  -sum_i log p_i(y_i) + penalty / 2 ||W||^2  over W (R + 1, K), the last row an unpenalised intercept.

    L-BFGS (Nocedal and Wright, algorithm 7.4) with the inverse diagonal of the Hessian as its first matrix and a
    backtracking line search.

    Args:
        coordinates: (N, R), columns nearly orthogonal.
        targets: one-hot or soft labels (N, K).
        penalty: in units of the loss, summed over rows.
        start: W to begin at, (R + 1, K).
        tolerance: stop when two steps on end lower the mean loss by less than this each, in nats a row.
        steps: the most steps taken.
        offset: logits (N, K) that are there before W: what a prior says, so that W is the departure from it.
    """
    rows = len(coordinates)
    z = np.concatenate([coordinates, np.ones((rows, 1), np.float32)], axis=1)
    squares = (z * z).T
    ridge = np.full((z.shape[1], 1), penalty, np.float32)
    ridge[-1] = 0

    def evaluate(w: Floats) -> tuple[float, Floats, Floats]:
        logits = z @ w + offset
        logits -= logits.max(1, keepdims=True)
        e = np.exp(logits)
        total = e.sum(1, keepdims=True)
        loss = (np.log(total[:, 0]) - np.einsum("nk,nk->n", targets, logits)).sum(dtype=np.float64)
        e /= total
        return float(loss) + 0.5 * float((ridge * w * w).sum(dtype=np.float64)), z.T @ (e - targets) + ridge * w, e

    w = start
    loss, gradient, p = evaluate(w)
    # A little of the bound p (1 - p) <= 1/4 keeps directions alive in which all rows are surely right.
    inverse = 1 / (squares @ (p * (1 - p) + np.float32(0.01)) + ridge + 1e-9)
    history: list[tuple[Floats, Floats, float]] = []
    idle = 0
    for _ in range(steps):
        direction = -_precondition(gradient, history, inverse)
        slope = float((direction * gradient).sum(dtype=np.float64))
        length, new_w = 1.0, w + direction
        new_loss, new_gradient, p = evaluate(new_w)
        while new_loss > loss + 1e-4 * length * slope and length > 1e-3:
            length /= 2
            new_w = w + np.float32(length) * direction
            new_loss, new_gradient, p = evaluate(new_w)
        if new_loss >= loss:
            break
        change, turn = new_w - w, new_gradient - gradient
        product = float((change * turn).sum(dtype=np.float64))
        if product > 0:
            history = [*history[-(MEMORY - 1) :], (change, turn, product)]
        idle = idle + 1 if loss - new_loss <= tolerance * rows else 0
        w, loss, gradient = new_w, new_loss, new_gradient
        if idle == 2:
            break
    return w


def _precondition(gradient: Floats, history: list[tuple[Floats, Floats, float]], inverse: Floats) -> Floats:
    q = gradient.copy()
    alphas = []
    for change, turn, product in reversed(history):
        alpha = float((change * q).sum()) / product
        q -= np.float32(alpha) * turn
        alphas.append(alpha)
    q *= inverse
    for (change, turn, product), alpha in zip(history, reversed(alphas)):
        q += np.float32(alpha - float((turn * q).sum()) / product) * change
    return q
