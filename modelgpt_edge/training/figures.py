"""What a training says of itself: means over steps, for the log, for people and for machines."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from modelgpt_edge.training.learner import Progress, StepLosses


@dataclass(frozen=True)
class Figures:
    """Means over some steps.

    Attributes:
        step: steps taken by the whole training; tables: tables met by it, again or not; shards: different shards among them.
        seconds: of these steps, waiting included, as is `tables_per_second`.
        loss, floor: log loss on query rows of the corrected floor and of the floor alone; gain: their difference. None without
            any step.
        skipped: steps that changed nothing, for want of a finite loss.
    """

    step: int
    tables: int
    shards: int
    seconds: float
    loss: float | None
    floor: float | None
    gain: float | None
    tables_per_second: float
    skipped: int

    def line(self) -> str:
        """For people."""
        losses = "no loss yet"
        if self.loss is not None:
            losses = f"loss {self.loss:.4f}, the floor's {self.floor:.4f}, gain {self.gain:+.4f}"
        return f"step {self.step:,}: {losses}; {self.tables:,} tables seen, {self.tables_per_second:.1f} a second"


class Tally:
    """Adds up steps from where `progress` stands now."""

    def __init__(self, progress: Progress) -> None:
        self.began, self.before = time.monotonic(), replace(progress)
        self.steps: list[StepLosses] = []

    def figures(self, progress: Progress) -> Figures:
        """The means until now."""
        taken = [(s.loss, s.floor) for s in self.steps if math.isfinite(s.loss)]
        loss, floor = np.mean(taken, axis=0).tolist() if taken else (None, None)
        seconds = time.monotonic() - self.began
        return Figures(
            step=progress.step,
            tables=progress.tables,
            shards=progress.shard,
            seconds=round(seconds, 1),
            loss=loss,
            floor=floor,
            gain=None if loss is None else floor - loss,
            tables_per_second=(progress.tables - self.before.tables) / max(seconds, 1e-9),
            skipped=len(self.steps) - len(taken),
        )


@dataclass(frozen=True)
class Leg:
    """What a leg did.

    Attributes:
        steps: taken in it; figures: over them.
        interrupted: whether somebody asked it to stop; otherwise its time was up.
        checkpoint, generator: what it wrote; size: bytes of the generator, 0 where none was written.
        device: what it ran on; processes: how many of them.
        notes: what was passed over.
    """

    steps: int
    figures: Figures
    interrupted: bool
    checkpoint: Path
    generator: Path
    size: int
    device: str
    processes: int
    notes: tuple[str, ...]
