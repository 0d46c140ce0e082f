"""What a training of the trunk says of itself: means over steps, for the log, for people and for machines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelgpt_edge.training.image.learner import StepFigures


@dataclass(frozen=True)
class ImageFigures:
    """Means over some steps.

    Attributes:
        step: steps taken by the whole training; seconds: that these steps took; pictures_per_second: in them.
        loss, right: of the photographs, changed as they are to learn from; drawn_loss: of drawn pictures. None without any.
        skipped: steps that changed nothing, for want of a finite loss.
    """

    step: int
    seconds: float
    pictures_per_second: float
    loss: float | None
    drawn_loss: float | None
    right: float | None
    skipped: int

    @staticmethod
    def of(steps: Sequence[StepFigures], step: int, seconds: float, batch: int) -> ImageFigures:
        """Means over steps of so many pictures each."""
        taken = [s for s in steps if math.isfinite(s.loss)]
        drawn = [s.drawn_loss for s in taken if math.isfinite(s.drawn_loss)]
        return ImageFigures(
            step=step,
            seconds=round(seconds, 1),
            pictures_per_second=len(steps) * batch / max(seconds, 1e-9),
            loss=float(np.mean([s.loss for s in taken])) if taken else None,
            drawn_loss=float(np.mean(drawn)) if drawn else None,
            right=float(np.mean([s.right for s in taken])) if taken else None,
            skipped=len(steps) - len(taken),
        )

    def line(self) -> str:
        """For people."""
        told = "no loss yet"
        if self.loss is not None and self.right is not None:
            told = f"loss {self.loss:.4f}, right {self.right:.3f}"
            told += "" if self.drawn_loss is None else f"; drawn loss {self.drawn_loss:.4f}"
        return f"step {self.step:,}: {told}; {self.pictures_per_second:.0f} pictures a second"
