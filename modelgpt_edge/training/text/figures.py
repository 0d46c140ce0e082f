"""What a text training says of itself: means over steps, for the log, for people and for machines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelgpt_edge.training.text.learner import StepFigures


@dataclass(frozen=True)
class TextFigures:
    """Means over some steps, by heads in closed form on the queries of the episodes.

    Attributes:
        step: steps taken by the whole training; seconds: that these steps took; episodes_per_second: in them.
        loss, plain, gain: log loss by the adapted encoder, by the plain one, and the difference; None without any step. The
            heads learn for the adapted one, so the gain says that something is learnt, and not how much it is worth.
        right, plain_right: shares of the queries that are right.
        skipped: steps that changed nothing, for want of a finite loss.
    """

    step: int
    seconds: float
    episodes_per_second: float
    loss: float | None
    plain: float | None
    gain: float | None
    right: float | None
    plain_right: float | None
    skipped: int

    @staticmethod
    def of(steps: Sequence[StepFigures], step: int, seconds: float, episodes: int) -> TextFigures:
        """Means over steps of so many episodes each."""
        taken = [(s.loss, s.plain, s.right, s.plain_right) for s in steps if math.isfinite(s.loss)]
        loss, plain, right, plain_right = np.mean(taken, axis=0).tolist() if taken else [None] * 4
        gain = None if loss is None else plain - loss
        speed = len(steps) * episodes / max(seconds, 1e-9)
        skipped = len(steps) - len(taken)
        return TextFigures(step, round(seconds, 1), speed, loss, plain, gain, right, plain_right, skipped)

    def line(self) -> str:
        """For people."""
        told = "no loss yet"
        if self.loss is not None:
            told = f"loss {self.loss:.4f}, plain {self.plain:.4f}, gain {self.gain:+.4f}; "
            told += f"right {self.right:.3f}, plain {self.plain_right:.3f}"
        return f"step {self.step:,}: {told}; {self.episodes_per_second:.2f} episodes a second"
