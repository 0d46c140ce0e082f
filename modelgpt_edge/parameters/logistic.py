"""Multinomial logistic heads solved to convergence, in the coordinates of the ridge spectrum.

In those coordinates the Hessian is nearly diagonal, so a diagonally preconditioned L-BFGS takes a dozen steps.
"""

from __future__ import annotations

import numpy as np

from modelgpt_edge.child import Floats, softmax
from modelgpt_edge.parameters.ridge import Spectrum

MEMORY = 8


def solve_logistic(
    coordinates: Floats,
    targets: Floats,
    penalty: float,
    start: Floats | None = None,
    tolerance: float = 1e-3,
    steps: int = 200,
) -> Floats:
    """Minimise  -sum_i log p_i(y_i) + penalty / 2 ||W||^2  over W (R + 1, K), the last row an unpenalised intercept.

    L-BFGS (Nocedal and Wright, algorithm 7.4) with the inverse diagonal of the Hessian's bound as its first matrix and
    a backtracking line search.

    Args:
        coordinates: (N, R), columns nearly orthogonal.
        targets: one-hot or soft labels (N, K).
        tolerance: stop when no gradient entry exceeds this share of the largest at the start.
    """
    rows, width = coordinates.shape
    z = np.concatenate([coordinates, np.ones((rows, 1), np.float32)], axis=1)
    outputs = targets.shape[1]
    ridge = np.full((width + 1, 1), penalty, np.float32)
    ridge[-1] = 0
    curvature = 1 / ((z * z).sum(0)[:, None] * np.float32(1 / outputs * (1 - 1 / outputs)) + ridge + 1e-9)
    w = np.zeros((width + 1, outputs), np.float32) if start is None else start.copy()

    def evaluate(w: Floats) -> tuple[float, Floats]:
        logits = z @ w
        logits -= logits.max(1, keepdims=True)
        e = np.exp(logits)
        total = e.sum(1, keepdims=True)
        loss = float((np.log(total[:, 0]) - (targets * logits).sum(1)).sum(dtype=np.float64)) + 0.5 * float((ridge * w * w).sum())
        return loss, z.T @ (e / total - targets) + ridge * w

    loss, gradient = evaluate(w)
    goal = tolerance * max(float(np.abs(z.T @ (targets - targets.mean(0))).max()), 1e-6)
    history: list[tuple[Floats, Floats, float]] = []
    for _ in range(steps):
        if float(np.abs(gradient).max()) <= goal:
            break
        direction = _direction(gradient, history, curvature)
        slope = float((direction * gradient).sum())
        if slope >= 0:
            history, direction = [], -curvature * gradient
            slope = float((direction * gradient).sum())
        length = 1.0
        while True:
            new_w = w + np.float32(length) * direction
            new_loss, new_gradient = evaluate(new_w)
            if new_loss <= loss + 1e-4 * length * slope or length < 1e-4:
                break
            length /= 2
        if new_loss >= loss:
            break
        change, turn = new_w - w, new_gradient - gradient
        product = float((change * turn).sum())
        if product > 1e-10:
            history = [*history[-(MEMORY - 1) :], (change, turn, product)]
        w, loss, gradient = new_w, new_loss, new_gradient
    return w


def _direction(gradient: Floats, history: list[tuple[Floats, Floats, float]], curvature: Floats) -> Floats:
    q = gradient.copy()
    alphas = []
    for change, turn, product in reversed(history):
        alpha = float((change * q).sum()) / product
        q -= np.float32(alpha) * turn
        alphas.append(alpha)
    q *= curvature
    for (change, turn, product), alpha in zip(history, reversed(alphas)):
        q += np.float32(alpha - float((turn * q).sum()) / product) * change
    return -q
