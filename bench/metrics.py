"""The scores of the accuracy bench, in numpy, held against scikit-learn's by a test.

Labels are class names; a test label that the training part never showed can't be predicted, so its row counts as wrong, at the
least probability, and its class is ranked by a constant score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAST = 1e-6


@dataclass(frozen=True)
class Metric:
    """A score: its key in results, its title in tables, and whether more is better."""

    key: str
    title: str
    rises: bool


METRICS = {
    "classification": (Metric("auc", "AUC", True), Metric("accuracy", "accuracy", True), Metric("log_loss", "log loss", False)),
    "regression": (Metric("r2", "R2", True), Metric("relative_rmse", "RMSE / std", False)),
}


def classification_scores(probabilities: np.ndarray, classes: Sequence[str], labels: Sequence[str]) -> dict[str, float]:
    """Accuracy, AUC and log loss of probabilities (N, K), whose columns are `classes`, against N labels."""
    place = {name: k for k, name in enumerate(classes)}
    truth = np.array([place.get(label, -1) for label in labels])
    p = np.asarray(probabilities, np.float64)
    if p.shape != (len(labels), len(classes)) or not np.isfinite(p).all():
        raise ValueError(f"expected finite probabilities of shape {(len(labels), len(classes))}, got {p.shape}")
    return {"accuracy": float((p.argmax(axis=1) == truth).mean()), "auc": auc(p, truth), "log_loss": log_loss(p, truth)}


def log_loss(p: np.ndarray, truth: np.ndarray) -> float:
    """Mean of -log of the true class's probability, at least 1e-6; `truth` is -1 for a class without a column."""
    own = np.where(truth >= 0, p[np.arange(len(p)), truth], 0.0)
    return float(-np.log(np.clip(own, LEAST, 1)).mean())


def auc(p: np.ndarray, truth: np.ndarray) -> float:
    """Area under the ROC curve; of several classes the mean of one against the rest over the classes in `truth`.

    NaN where `truth` holds one class alone.
    """
    if p.shape[1] == 2 and (truth >= 0).all():
        return binary_auc(p[:, 1], truth == 1)
    each = [binary_auc(p[:, k] if k >= 0 else np.zeros(len(p)), truth == k) for k in np.unique(truth)]
    return float(np.mean(each))


def binary_auc(score: np.ndarray, positive: np.ndarray) -> float:
    """Chance that a positive row scores above a negative one, ties counting half (the Mann-Whitney statistic)."""
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not ones or not zeros:
        return float("nan")
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]  # mid-ranks from 1
    return float((rank[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def regression_scores(values: np.ndarray, labels: Sequence[float]) -> dict[str, float]:
    """RMSE, RMSE over the labels' standard deviation, and R2 of values (N,) or (N, 1)."""
    truth, value = np.asarray(labels, np.float64), np.asarray(values, np.float64).reshape(-1)
    if value.shape != truth.shape or not np.isfinite(value).all():
        raise ValueError(f"expected {len(truth)} finite values, got shape {value.shape}")
    rmse, spread = float(np.sqrt(((value - truth) ** 2).mean())), float(truth.std())
    return {"rmse": rmse, "relative_rmse": rmse / spread, "r2": 1 - (rmse / spread) ** 2}
