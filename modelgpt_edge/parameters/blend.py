"""Choose what held-out rows favour: how much of each head, how much of the linear model, and the temperature.

The choice is soft and has priors, so that a small table, whose rows can't tell, gets the even mean of both heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Floats
from modelgpt_edge.parameters.likelihood import smoothed_loss, temperature

# Share of the ridge head in the mean of both; the rest is the logistic head's.
SHARES = (0.5, 0.25, 0.75, 0.0, 1.0)
# Share of the plain linear model in the mean with the floor.
LINEAR = (0.0, 0.1, 0.2, 0.3, 0.5, 0.75)
# Strength of the priors in nats, set on the development sets: even shares, no linear part, no re-scaling.
SHARE_PRIOR, LINEAR_PRIOR, TEMPERATURE_PRIOR = 20.0, 5.0, 5.0


@dataclass(frozen=True)
class Blend:
    """How the solved heads make one: ``temperature * ((1 - linear) floor + linear * line)``.

    Attributes:
        share: of the ridge head in the floor; in the linear model it is a half. 1 for regression.
        linear: of the linear model; 1 is the linear model alone.
        temperature: factor on the logits; 1 for regression.
        loss: smoothed log loss on the rows it was chosen on; for regression the squared error, standardised.
    """

    share: float
    linear: float
    temperature: float
    loss: float

    def weights(self, heads: int) -> dict[str, Floats]:
        """Weights (H,) on the heads of each generator; the sum of all weighted scores is the child's."""
        floor = [self.share, 1 - self.share] if heads == 2 else [1.0]
        line = [0.5, 0.5] if heads == 2 else [1.0]
        return {
            "floor": np.array(floor, np.float32) * np.float32((1 - self.linear) * self.temperature),
            "linear": np.array(line, np.float32) * np.float32(self.linear * self.temperature),
        }

    def apply(self, scores: Mapping[str, Floats]) -> Floats:
        """Scores (N, K) of the generators' scores (H, N, K)."""
        weights = self.weights(len(scores["floor"]))
        return np.tensordot(weights["floor"], scores["floor"], axes=1) + np.tensordot(
            weights["linear"], scores["linear"], axes=1
        )


def choose_blend(scores: Mapping[str, Floats], targets: Floats, generator: str) -> Blend:
    """The best blend of held-out scores (H, N, K) for a generator.

    Args:
        targets: one-hot classes (N, K), or standardised values (N, 1).
        generator: ``floor``, which may take in a share of the linear model, or ``linear``, which has nothing to choose
            but its temperature.
    """
    if targets.shape[1] == 1:
        return _choose_regression(scores, targets, generator)
    truth = targets.argmax(1).astype(np.int32)
    if generator == "linear":
        return _calibrated(0.5, 1.0, scores, truth)
    rows = len(truth)
    best = min(
        (
            (
                smoothed_loss(Blend(share, linear, 1.0, 0.0).apply(scores), truth)
                + (SHARE_PRIOR * (share - 0.5) ** 2 + LINEAR_PRIOR * linear**2) / rows,
                share,
                linear,
            )
            for share in SHARES
            for linear in LINEAR
        ),
        key=lambda run: run[0],
    )
    return _calibrated(best[1], best[2], scores, truth)


def _calibrated(share: float, linear: float, scores: Mapping[str, Floats], truth: NDArray[np.int32]) -> Blend:
    logits = Blend(share, linear, 1.0, 0.0).apply(scores)
    factor = temperature(logits, truth, strength=TEMPERATURE_PRIOR)
    return Blend(share, linear, factor, smoothed_loss(logits * np.float32(factor), truth))


def _choose_regression(scores: Mapping[str, Floats], targets: Floats, generator: str) -> Blend:
    shares = (1.0,) if generator == "linear" else LINEAR
    blends = [Blend(1.0, linear, 1.0, 0.0) for linear in shares]
    losses = [float(((blend.apply(scores) - targets) ** 2).mean()) for blend in blends]
    best = int(np.argmin(losses))
    return Blend(1.0, shares[best], 1.0, losses[best])
