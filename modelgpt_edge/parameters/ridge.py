"""Ridge heads by one eigendecomposition, tuned by their exact leave-one-out predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelgpt_edge.child import Floats

LAMBDAS = np.logspace(-6, 2, 25)
TEMPERATURES = np.logspace(-0.7, 1.7, 25)


@dataclass(frozen=True)
class Spectrum:
    """Centred features F = U diag(s) V' : what ridge and logistic solves share.

    Attributes:
        left: U (N, R); right: V (P, R); values: s (R,), descending; mean: (P,) of the features.
    """

    left: Floats
    right: Floats
    values: Floats
    mean: Floats


def decompose(features: Floats) -> Spectrum:
    """Spectrum of features (N, P) by one symmetric eigendecomposition of the smaller Gram matrix."""
    mean = features.mean(0)
    centred = features - mean
    rows, width = centred.shape
    if rows <= width:
        squared, left = _eigh(centred @ centred.T)
        values = np.sqrt(squared)
        right = centred.T @ left / values
    else:
        squared, right = _eigh(centred.T @ centred)
        values = np.sqrt(squared)
        left = centred @ right / values
    return Spectrum(left, right, values, mean)


def _eigh(gram: Floats) -> tuple[Floats, Floats]:
    squared, vectors = np.linalg.eigh(gram)
    squared, vectors = squared[::-1], vectors[:, ::-1]
    # Below float32's resolution of the largest eigenvalue a direction is rounding noise.
    keep = int((squared > squared[0] * 1e-6).sum())
    return np.ascontiguousarray(squared[:keep]), np.ascontiguousarray(vectors[:, :keep])


@dataclass(frozen=True)
class RidgeHead:
    """A solved head: weight (P, K) and bias (K,), and the leave-one-out scores (N, K) that tuned it."""

    weight: Floats
    bias: Floats
    held_out: Floats
    loss: float


def leave_one_out(spectrum: Spectrum, targets: Floats, penalty: float) -> Floats:
    """Exact leave-one-out predictions (N, K) of ridge with an unpenalised intercept (the PRESS identity).

    y_i - f_i = (y_i - fhat_i) / (1 - h_ii) with h the hat matrix, its intercept's 1 / N included.
    """
    rows = len(targets)
    shrink = (spectrum.values**2 / (spectrum.values**2 + penalty)).astype(np.float32)
    centred = targets - targets.mean(0)
    fitted = (spectrum.left * shrink) @ (spectrum.left.T @ centred)
    leverage = np.minimum((spectrum.left**2) @ shrink + 1 / rows, 1 - 1e-4)
    return targets - (centred - fitted) / (1 - leverage)[:, None]


def classification_head(spectrum: Spectrum, targets: Floats) -> RidgeHead:
    """Ridge on one-hot targets (N, K); lambda and the temperature of its logits by leave-one-out likelihood."""
    best: tuple[float, float, float, Floats] | None = None
    truth = targets.argmax(1)
    total = float((spectrum.values**2).sum())
    for ratio in LAMBDAS:
        scores = leave_one_out(spectrum, targets, ratio * total)
        loss, temperature = best_temperature(scores, truth)
        if best is None or loss < best[0]:
            best = (loss, ratio * total, temperature, scores)
    assert best is not None
    loss, penalty, temperature, scores = best
    weight, bias = _solve(spectrum, targets, penalty)
    return RidgeHead(weight * temperature, bias * temperature, scores * np.float32(temperature), loss)


def regression_head(spectrum: Spectrum, targets: Floats) -> RidgeHead:
    """Ridge on values (N, 1); lambda by leave-one-out squared error."""
    total = float((spectrum.values**2).sum())
    runs = [(float(((leave_one_out(spectrum, targets, r * total) - targets) ** 2).mean()), r * total) for r in LAMBDAS]
    loss, penalty = min(runs)
    weight, bias = _solve(spectrum, targets, penalty)
    return RidgeHead(weight, bias, leave_one_out(spectrum, targets, penalty), loss)


def _solve(spectrum: Spectrum, targets: Floats, penalty: float) -> tuple[Floats, Floats]:
    mean = targets.mean(0)
    gain = (spectrum.values / (spectrum.values**2 + penalty)).astype(np.float32)
    weight = spectrum.right @ (gain[:, None] * (spectrum.left.T @ (targets - mean)))
    return weight, mean - spectrum.mean @ weight


def best_temperature(scores: Floats, truth: np.ndarray) -> tuple[float, float]:
    """The mean log loss at the best of a grid of temperatures, and that temperature (a factor on the scores)."""
    rows = np.arange(len(truth))
    runs = []
    for t in TEMPERATURES:
        z = scores * np.float32(t)
        top = z.max(1)
        loss = np.log(np.exp(z - top[:, None]).sum(1)) + top - z[rows, truth]
        runs.append((float(loss.mean()), float(t)))
    return min(runs)
