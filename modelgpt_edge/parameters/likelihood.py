"""Log loss and the one factor that calibrates logits, both guarded against separable tables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Floats

# One pseudo-observation of unknown class: without it a separable table would drive its logits to infinity.
PSEUDO_ROWS = 1.0


def log_losses(logits: Floats, truth: NDArray[np.int32]) -> Floats:
    """Minus log probability of the true class, per row, (N,)."""
    top = logits.max(1)
    normaliser = np.log(np.exp(logits - top[:, None]).sum(1)) + top
    return normaliser - logits[np.arange(len(truth)), truth]


def row_losses(scores: Floats, targets: Floats) -> NDArray[np.float64]:
    """Loss of each row (N,): log loss of scores (N, K) against one-hot targets, or squared error of (N, 1) against values."""
    if targets.shape[1] == 1:
        return np.asarray((scores - targets)[:, 0], np.float64) ** 2
    return np.asarray(log_losses(scores, targets.argmax(1).astype(np.int32)), np.float64)


def smoothed_loss(logits: Floats, truth: NDArray[np.int32]) -> float:
    """Mean log loss with one pseudo-observation spread evenly over rows and classes."""
    return float(smoothed_losses(logits, truth).mean(dtype=np.float64))


def smoothed_losses(logits: Floats, truth: NDArray[np.int32]) -> Floats:
    """The same of each row, (N,)."""
    share = PSEUDO_ROWS / len(truth)
    picked = logits[np.arange(len(truth)), truth]
    return log_losses(logits, truth) + share * (picked - logits.mean(1))


def temperature(logits: Floats, truth: NDArray[np.int32], start: float = 1.0, strength: float = 0.0) -> float:
    """The factor on the logits that minimises the smoothed loss plus ``strength / N * log(factor)^2``.

    The loss is convex in the factor; Newton steps on its logarithm, at most a factor of e each.
    """
    rows = len(truth)
    share = PSEUDO_ROWS / rows
    target = (1 - share) * logits[np.arange(rows), truth] + share * logits.mean(1)
    log_factor = float(np.log(start))
    for _ in range(12):
        factor = np.exp(log_factor)
        z = logits * np.float32(factor)
        e = np.exp(z - z.max(1, keepdims=True))
        p = e / e.sum(1, keepdims=True)
        mean = (p * logits).sum(1)
        first = factor * float((mean - target).mean(dtype=np.float64)) + 2 * strength / rows * log_factor
        variance = float(((p * logits * logits).sum(1) - mean**2).mean(dtype=np.float64))
        second = factor**2 * variance + max(first, 0.0) + 2 * strength / rows + 1e-9
        step = float(np.clip(-first / second, -1, 1))
        log_factor = float(np.clip(log_factor + step, -4, 6))
        if abs(step) < 1e-3:
            break
    return float(np.exp(log_factor))
