"""Honest scores with intervals: what the user may expect on rows like those given."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Floats, softmax

Z95 = 1.959964
BOOTSTRAPS = 1000


@dataclass(frozen=True)
class Score:
    """A held-out score.

    Attributes:
        metric: ``accuracy`` (classification) or ``r2`` (regression).
        value, low, high: the score and its 95 % interval; None without rows.
        method: how it was measured, in words.
        rows: how many rows it was measured on.
        others: further metrics by name: auc and log_loss, or rmse and mae.
    """

    metric: str
    value: float | None
    low: float | None
    high: float | None
    method: str
    rows: int
    others: dict[str, float] = field(default_factory=dict)


def score_outputs(scores: Floats, labels: NDArray[np.int32] | NDArray[np.float64], method: str) -> Score:
    """Score of scores (N, K) against class positions, or of (N, 1) against values: the labels' type tells which."""
    if labels.dtype.kind == "f":
        return regression_score(scores[:, 0].astype(np.float64), np.asarray(labels, np.float64), method)
    return classification_score(scores, np.asarray(labels, np.int32), method)


def classification_score(logits: Floats, truth: NDArray[np.int32], method: str) -> Score:
    """Accuracy of logits (N, K) with Wilson's interval (Wilson 1927), and AUC and log loss beside it.

    Args:
        truth: (N,) class positions; -1 for a class that the model doesn't know, always counted as wrong.
    """
    probabilities = softmax(logits)
    correct = probabilities.argmax(1) == truth
    low, high = wilson(int(correct.sum()), len(truth))
    picked = np.where(truth >= 0, probabilities[np.arange(len(truth)), np.maximum(truth, 0)], 0)
    others = {"log_loss": float(-np.log(np.clip(picked, 1e-6, 1)).mean(dtype=np.float64))}
    area = auc(probabilities, truth)
    if area is not None:
        others["auc"] = area
    return Score("accuracy", float(correct.mean()), low, high, method, len(truth), others)


def regression_score(predicted: NDArray[np.float64], values: NDArray[np.float64], method: str) -> Score:
    """R squared of predictions (N,) with a bootstrap interval over rows (Efron 1979), RMSE and MAE beside it."""
    errors, spread = (predicted - values) ** 2, (values - values.mean()) ** 2
    total = max(float(spread.sum()), 1e-300)
    rng = np.random.default_rng(0)
    rows = len(values)
    draws = []
    for _ in range(BOOTSTRAPS):
        pick = rng.integers(0, rows, rows)
        drawn = values[pick]
        drawn_spread = float(((drawn - drawn.mean()) ** 2).sum())
        if drawn_spread > 1e-12 * total:  # a resample of equal values has no R squared
            draws.append(1 - float(errors[pick].sum()) / drawn_spread)
    value = float(1 - errors.sum() / total)
    low, high = np.quantile(draws, [0.025, 0.975]) if draws else (value, value)
    others = {"rmse": float(np.sqrt(errors.mean())), "mae": float(np.abs(predicted - values).mean())}
    return Score("r2", value, float(low), float(high), method, rows, others)


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    share, z2 = successes / trials, Z95**2
    middle = share + z2 / (2 * trials)
    half = Z95 * float(np.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)))
    return max(0.0, (middle - half) / (1 + z2 / trials)), min(1.0, (middle + half) / (1 + z2 / trials))


def auc(probabilities: Floats, truth: NDArray[np.int32]) -> float | None:
    """Area under the ROC curve; mean of one against the rest over the classes present; None where one class is."""
    classes = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    areas = []
    for k in classes:
        positive = truth == k
        count = int(positive.sum())
        if 0 < count < len(truth):
            ranks = _mid_ranks(probabilities[:, k])
            areas.append((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(truth) - count)))
    return float(np.mean(areas)) if areas else None


def _mid_ranks(values: Floats) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]
