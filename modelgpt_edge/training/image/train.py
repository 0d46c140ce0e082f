"""Trains the tiny trunk in legs of minutes: every leg goes on where the last one stopped, on CPU cores or one GPU.

A training is a folder: the checkpoint, the trunk exported from it, and `log.jsonl`. What ships is the last trunk of a training:
none is chosen by the pictures that judge it.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch  # noqa: TID251 - what is trained is a torch model

from modelgpt_edge.architecture.image.trunk_shape import TINY, TrunkShape
from modelgpt_edge.errors import InputError, ModelgptEdgeError
from modelgpt_edge.training.image.checkpoint import CHECKPOINT, TRUNK, export, load_checkpoint, save_checkpoint, trunk_of
from modelgpt_edge.training.image.drawn import draw_classes
from modelgpt_edge.training.image.figures import ImageFigures, ImageLeg
from modelgpt_edge.training.image.judge import Judge, ShotScore
from modelgpt_edge.training.image.learner import ImageLearner, ImageRecipe, StepFigures
from modelgpt_edge.training.image.pictures import NAME, Pictures
from modelgpt_edge.training.stopping import Stop, stop_when_asked

LOG = "log.jsonl"
# Seconds between lines of the log and between checkpoints.
TELL_EVERY, SAVE_EVERY = 30.0, 60.0
# Classes that are drawn, and pictures of each.
DRAWN, EACH = 400, 60
# Steps on end without a finite loss, after which a leg gives up.
LOST = 3

Say = Callable[[str], None]
Progress = Callable[[str, float], None]


def train_images(
    folder: Path,
    minutes: float,
    learnt: Pictures,
    kept: Pictures,
    *,
    seed: int = 0,
    batch: int,
    steps: int,
    shape: TrunkShape = TINY,
    drawn: int = DRAWN,
    each: int = EACH,
    threads: int | None = None,
    say: Say = lambda line: None,
    progress: Progress = lambda stage, share: None,
) -> ImageLeg:
    """Train for some minutes, from where the folder's checkpoint stands, or to the last step; then judge what came of it.

    Args:
        folder: made where there is none.
        minutes: of the leg, the last judging not; a step is taken at least, unless all are taken.
        learnt: photographs to learn from; kept: those to judge by.
        seed, batch, steps, shape, drawn, each: see `ImageRecipe`; the same in every leg.
        threads: cores to train with; all of them where not given.
        say: takes lines of progress; progress: a stage and how much of it is done.

    Raises:
        InputError: the folder holds another training or a damaged one, or can't be written.
        ModelgptEdgeError: the loss isn't finite three times on end; the checkpoint is from before.
    """
    data = f"{NAME}, {len(learnt.labels):,} pictures of its training part"
    recipe = ImageRecipe(seed, batch, steps, shape, drawn, each, data)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    before = torch.get_num_threads()
    with stop_when_asked(minutes * 60) as stop:
        torch.set_num_threads(threads or os.cpu_count() or 1)
        try:
            _make(folder)
            return _Running(folder, recipe, kept, stop, device, say, progress).train(learnt)
        finally:
            torch.set_num_threads(before)


class _Running:
    """A leg while it runs."""

    def __init__(
        self,
        folder: Path,
        recipe: ImageRecipe,
        kept: Pictures,
        stop: Stop,
        device: torch.device,
        say: Say,
        progress: Progress,
    ) -> None:
        self.folder, self.recipe, self.kept, self.stop, self.device = folder, recipe, kept, stop, device
        self.checkpoint, self.say, self.progress = folder / CHECKPOINT, say, progress
        self.notes: list[str] = []
        if self.checkpoint.exists():
            self.learner = load_checkpoint(self.checkpoint, recipe, device)
            self.say(f"going on from step {self.learner.progress.step:,}")
        else:
            self.learner = ImageLearner(recipe, len(kept.classes), device)
        self.first_step, self.seconds_before = self.learner.progress.step, self.learner.progress.seconds
        self.taken: list[StepFigures] = []

    def train(self, learnt: Pictures) -> ImageLeg:
        """Step until the time is up, all steps are taken, or somebody asks to stop; then save, judge and export."""
        if not self._over():
            self.progress("drawing", 0)
        drawn = draw_classes(0 if self._over() else self.recipe.drawn, self.recipe.each, self.recipe.seed)
        began = told = saved = self.stop.elapsed()
        lost, told_steps = 0, 0
        while not self._over():
            figures = self.learner.learn(learnt, drawn)
            self.taken.append(figures)
            now = self.stop.elapsed()
            self.learner.progress.seconds = self.seconds_before + now - began
            self.progress("training", min(1.0, now / max(self.stop.seconds, 1e-9)))
            lost = 0 if math.isfinite(figures.loss) else lost + 1
            if lost:
                self._lose(lost)
            if now - told > TELL_EVERY:
                self._tell(self.taken[told_steps:], now - told)
                told, told_steps = now, len(self.taken)
            if not lost and now - saved > SAVE_EVERY:
                save_checkpoint(self.learner, self.checkpoint)
                saved = now
        save_checkpoint(self.learner, self.checkpoint)
        if len(self.taken) > told_steps:
            self._tell(self.taken[told_steps:], self.stop.elapsed() - told)
        seconds = self.stop.elapsed() - began
        scores = self._judge()
        size = export(self.learner, scores, self.folder / TRUNK)
        return self._leg(seconds, scores, size)

    def _over(self) -> bool:
        """Whether to stop: a leg takes one step at least, unless it is interrupted or there is none left to take."""
        step = self.learner.progress.step
        return step >= self.recipe.steps or self.stop.asked or (step > self.first_step and self.stop.late())

    def _lose(self, lost: int) -> None:
        """Note a step without a finite loss, and give up after some on end."""
        step = self.learner.progress.step
        self.notes.append(f"step {step:,} is skipped: its loss or a gradient isn't a finite number")
        self.say(self.notes[-1])
        if lost == LOST:
            what = f"the loss isn't a finite number in {LOST} steps on end"
            cure = "Run the same command again, which goes on from the checkpoint; begin in another folder if it comes back."
            raise ModelgptEdgeError(what, where=str(self.checkpoint), seen=f"step {step}", cure=cure)

    def _judge(self) -> tuple[ShotScore, ...]:
        """Scores on the pictures kept, told and logged."""
        self.progress("judging", 0)
        scores = Judge(self.kept, self.recipe.seed).scores(trunk_of(self.learner))
        for score in scores:
            self.say(score.line())
        self._log({"step": self.learner.progress.step, "scores": [asdict(score) for score in scores]})
        return scores

    def _tell(self, steps: list[StepFigures], seconds: float) -> None:
        figures = ImageFigures.of(steps, self.learner.progress.step, seconds, self.recipe.batch)
        self.say(figures.line())
        self._log(asdict(figures))

    def _log(self, line: dict[str, object]) -> None:
        try:
            with (self.folder / LOG).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            self.notes.append(f"{self.folder / LOG}: the log can't be written: {error.strerror}")

    def _leg(self, seconds: float, scores: tuple[ShotScore, ...], size: int) -> ImageLeg:
        threads = torch.get_num_threads()
        cpu = f"CPU, {threads} thread{'' if threads == 1 else 's'}"
        return ImageLeg(
            steps=self.learner.progress.step - self.first_step,
            planned=self.recipe.steps,
            figures=ImageFigures.of(self.taken, self.learner.progress.step, seconds, self.recipe.batch),
            scores=scores,
            interrupted=self.stop.asked,
            checkpoint=self.checkpoint,
            trunk=self.folder / TRUNK,
            size=size,
            device=torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else cpu,
            notes=tuple(self.notes),
        )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        cure = "Give a folder that you can write to."
        seen = f"{folder}: {error.strerror}"
        raise InputError("the training can't be kept here", where="--out", seen=seen, cure=cure) from error
