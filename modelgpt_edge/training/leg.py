"""A leg of a training that resumes, whatever learns: steps until the time is up, a log, checkpoints, and what came of it.

What a step is, how it is told, and what is judged and exported, a subclass of `Running` says; nothing of texts or pictures
comes in here. Tables have a line of their own in `train.py`, for theirs spreads over several processes.
"""

from __future__ import annotations

import json
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch  # noqa: TID251 - what is trained is a torch model

from modelgpt_edge.errors import InputError, ModelgptEdgeError
from modelgpt_edge.training.stopping import Stop, stop_when_asked

LOG = "log.jsonl"
# Seconds between lines of the log, and between checkpoints.
TELL_EVERY, SAVE_EVERY = 30.0, 60.0
# Steps on end without a finite loss, after which a leg gives up.
LOST = 3

Say = Callable[[str], None]
Progress = Callable[[str, float], None]


class Counted(Protocol):
    """How far a training has come: steps taken, and seconds that they took."""

    step: int
    seconds: float


class StepTaken(Protocol):
    """What a step says of itself; a loss that isn't finite where it changed nothing."""

    @property
    def loss(self) -> float:
        """Mean over what the step learnt from."""


class Told(Protocol):
    """Figures or a score, a frozen dataclass."""

    def line(self) -> str:
        """For people."""


Step = TypeVar("Step", bound=StepTaken)
Figures = TypeVar("Figures", bound=Told)
Score = TypeVar("Score", bound=Told)


@dataclass(frozen=True)
class LegDone(Generic[Figures, Score]):
    """What a leg did.

    Attributes:
        steps: taken in it; reached: by the whole training; planned: of it; figures: over the leg's steps.
        scores: of what it exported, on what was never learnt from.
        interrupted: whether somebody asked it to stop.
        checkpoint, exported: what it wrote; size: bytes of the latter.
        device: what it ran on; notes: what went wrong on the way.
    """

    steps: int
    reached: int
    planned: int
    figures: Figures
    scores: tuple[Score, ...]
    interrupted: bool
    checkpoint: Path
    exported: Path
    size: int
    device: str
    notes: tuple[str, ...]


class Running(ABC, Generic[Step, Figures, Score]):
    """A leg while it runs.

    Args:
        folder: of the training; checkpoint, exported: files in it.
        planned: steps of the whole training; done: how far it has come, counted on here.
        judge_every: seconds between looks at what judges, besides the last one.
    """

    def __init__(
        self,
        folder: Path,
        checkpoint: Path,
        exported: Path,
        planned: int,
        done: Counted,
        stop: Stop,
        device: torch.device,
        say: Say,
        progress: Progress,
        judge_every: float = math.inf,
    ) -> None:
        self.folder, self.checkpoint, self.exported, self.planned, self.done = folder, checkpoint, exported, planned, done
        self.stop, self.device, self.say, self.progress, self.judge_every = stop, device, say, progress, judge_every
        self.first_step, self.seconds_before = done.step, done.seconds
        self.notes: list[str] = []
        self.taken: list[Step] = []

    @abstractmethod
    def step(self) -> Step | None:
        """Take a step; None where it was interrupted midway and changed nothing."""

    @abstractmethod
    def save(self) -> None:
        """Write the checkpoint."""

    @abstractmethod
    def scores(self) -> tuple[Score, ...]:
        """Scores of what would be exported now."""

    @abstractmethod
    def export(self, scores: tuple[Score, ...]) -> int:
        """Write what ships, and return its bytes."""

    @abstractmethod
    def figures(self, steps: Sequence[Step], seconds: float) -> Figures:
        """Means over some steps that took so long."""

    def over(self) -> bool:
        """Whether to stop: a leg takes one step at least, unless it is interrupted or there is none left to take."""
        step = self.done.step
        return step >= self.planned or self.stop.asked or (step > self.first_step and self.stop.late())

    def run(self) -> LegDone[Figures, Score]:
        """Step until the time is up, all steps are taken, or somebody asks to stop; then save, judge and export."""
        began = told = saved = judged = self.stop.elapsed()
        lost, told_steps = 0, 0
        while not self.over():
            figures = self.step()
            if figures is None:
                continue
            self.taken.append(figures)
            now = self.stop.elapsed()
            self.done.seconds = self.seconds_before + now - began
            self.progress("training", min(1.0, now / max(self.stop.seconds, 1e-9)))
            lost = 0 if math.isfinite(figures.loss) else lost + 1
            if lost:
                self._lose(lost)
            if now - told > TELL_EVERY:
                self._tell(self.taken[told_steps:], now - told)
                told, told_steps = now, len(self.taken)
            if not lost and now - saved > SAVE_EVERY:
                self.save()
                saved = now
            if now - judged > self.judge_every:
                self._judge()
                judged = told = self.stop.elapsed()
        self.save()
        if len(self.taken) > told_steps:
            self._tell(self.taken[told_steps:], self.stop.elapsed() - told)
        seconds = self.stop.elapsed() - began
        scores = self._judge()
        return self._leg(seconds, scores, self.export(scores))

    def _lose(self, lost: int) -> None:
        """Note a step without a finite loss, and give up after some on end."""
        step = self.done.step
        self.notes.append(f"step {step:,} is skipped: its loss or a gradient isn't a finite number")
        self.say(self.notes[-1])
        if lost == LOST:
            what = f"the loss isn't a finite number in {LOST} steps on end"
            cure = "Run the same command again, which goes on from the checkpoint; begin in another folder if it comes back."
            raise ModelgptEdgeError(what, where=str(self.checkpoint), seen=f"step {step}", cure=cure)

    def _judge(self) -> tuple[Score, ...]:
        """Scores, told and logged."""
        self.progress("judging", 0)
        scores = self.scores()
        for score in scores:
            self.say(score.line())
        self._log({"step": self.done.step, "scores": [_values(score) for score in scores]})
        return scores

    def _tell(self, steps: list[Step], seconds: float) -> None:
        figures = self.figures(steps, seconds)
        self.say(figures.line())
        self._log(_values(figures))

    def _log(self, line: dict[str, Any]) -> None:
        try:
            with (self.folder / LOG).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            self.notes.append(f"{self.folder / LOG}: the log can't be written: {error.strerror}")

    def _leg(self, seconds: float, scores: tuple[Score, ...], size: int) -> LegDone[Figures, Score]:
        threads = torch.get_num_threads()
        cpu = f"CPU, {threads} thread{'' if threads == 1 else 's'}"
        return LegDone(
            steps=self.done.step - self.first_step,
            reached=self.done.step,
            planned=self.planned,
            figures=self.figures(self.taken, seconds),
            scores=scores,
            interrupted=self.stop.asked,
            checkpoint=self.checkpoint,
            exported=self.exported,
            size=size,
            device=torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else cpu,
            notes=tuple(self.notes),
        )


@contextmanager
def leg_of(folder: Path, minutes: float, threads: int | None) -> Iterator[tuple[Stop, torch.device]]:
    """A folder to train in, when to stop and where to run; torch's threads are put back afterwards.

    Raises:
        InputError: the folder can't be made.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    before = torch.get_num_threads()
    with stop_when_asked(minutes * 60) as stop:
        torch.set_num_threads(threads or os.cpu_count() or 1)
        try:
            _make(folder)
            yield stop, device
        finally:
            torch.set_num_threads(before)


def _values(told: Any) -> dict[str, Any]:
    """As JSON values: figures and scores are dataclasses, which no protocol can say."""
    return asdict(told)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        cure = "Give a folder that you can write to."
        seen = f"{folder}: {error.strerror}"
        raise InputError("the training can't be kept here", where="--out", seen=seen, cure=cure) from error
