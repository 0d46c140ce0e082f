"""Trains the LoRA hypernetwork in legs of minutes: every leg goes on where the last one stopped, on CPU cores or one GPU.

A training is a folder: the checkpoint, the generator exported from it, and `log.jsonl`. Texts are embedded by the plain encoder
when a leg begins. What ships is the last generator of a training: none is chosen by the tasks that judge it.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch  # noqa: TID251 - what is trained is a torch model

from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.errors import InputError, ModelgptEdgeError
from modelgpt_edge.parameters.text.lora import LoraShape
from modelgpt_edge.training.stopping import Stop, stop_when_asked
from modelgpt_edge.training.text.checkpoint import CHECKPOINT, GENERATOR, export, load_checkpoint, save_checkpoint
from modelgpt_edge.training.text.encoder import TorchEncoder
from modelgpt_edge.training.text.episodes import Embedded, draw_episode
from modelgpt_edge.training.text.figures import TextFigures, TextLeg
from modelgpt_edge.training.text.judge import Judge, TaskScore
from modelgpt_edge.training.text.learner import StepFigures, TextLearner, TextRecipe
from modelgpt_edge.training.text.tasks import TextTask

LOG = "log.jsonl"
# Seconds between lines of the log, between checkpoints, and between looks at the tasks that judge.
TELL_EVERY, SAVE_EVERY, JUDGE_EVERY = 30.0, 60.0, 900.0
# Steps of a whole training: about an hour of two idle cores for MiniLM-L6.
STEPS = 4000
# Steps on end without a finite loss, after which a leg gives up.
LOST = 3

Say = Callable[[str], None]
Progress = Callable[[str, float], None]


def train_text(
    folder: Path,
    minutes: float,
    encoder: TextEncoder,
    learnt: list[TextTask],
    judged: list[TextTask],
    *,
    seed: int = 0,
    episodes: int = 1,
    steps: int = STEPS,
    shape: LoraShape | None = None,
    threads: int | None = None,
    say: Say = lambda line: None,
    progress: Progress = lambda stage, share: None,
) -> TextLeg:
    """Train for some minutes, from where the folder's checkpoint stands, or to the last step; then judge what came of it.

    Args:
        folder: made where there is none.
        minutes: of the leg, embedding included, the last judging not; a step is taken at least, unless all are taken.
        learnt: what episodes are drawn from; judged: tasks apart from those.
        seed, episodes, steps: see `TextRecipe`; the same in every leg.
        shape: of a training that begins; one that goes on has its own.
        threads: cores to train with; all of them where not given.
        say: takes lines of progress; progress: a stage and how much of it is done.

    Raises:
        InputError: the folder holds another training or a damaged one, or can't be written.
        ModelgptEdgeError: the loss isn't finite three times on end; the checkpoint is from before.
    """
    data = ", ".join(f"{task.name} ({len(task.classes)} classes)" for task in learnt)
    recipe = TextRecipe(seed, episodes, steps, encoder.files.sha256, data)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    before = torch.get_num_threads()
    with stop_when_asked(minutes * 60) as stop:
        torch.set_num_threads(threads or os.cpu_count() or 1)
        try:
            _make(folder)
            leg = _Running(folder, recipe, shape, encoder, judged, stop, device, say, progress)
            return leg.train(learnt)
        finally:
            torch.set_num_threads(before)


class _Running:
    """A leg while it runs."""

    def __init__(
        self,
        folder: Path,
        recipe: TextRecipe,
        shape: LoraShape | None,
        encoder: TextEncoder,
        judged: list[TextTask],
        stop: Stop,
        device: torch.device,
        say: Say,
        progress: Progress,
    ) -> None:
        self.folder, self.recipe, self.encoder, self.stop, self.device = folder, recipe, encoder, stop, device
        self.checkpoint, self.say, self.progress = folder / CHECKPOINT, say, progress
        self.judge = Judge(encoder, judged, recipe.seed)
        self.notes: list[str] = []
        frozen = TorchEncoder.of(encoder, device)
        if self.checkpoint.exists():
            self.learner = load_checkpoint(self.checkpoint, recipe, frozen, device)
            self.say(f"going on from step {self.learner.progress.step:,}")
        else:
            self.learner = TextLearner(shape or LoraShape.of(encoder.files.shape), recipe, frozen, device)
        self.first_step, self.seconds_before = self.learner.progress.step, self.learner.progress.seconds
        self.taken: list[StepFigures] = []

    def train(self, learnt: list[TextTask]) -> TextLeg:
        """Step until the time is up, all steps are taken, or somebody asks to stop; then save, judge and export."""
        wanted = [] if self._over() else learnt
        sets = [Embedded.of(task, self.encoder, lambda share: self.progress("embedding", share)) for task in wanted]
        began = told = saved = judged = self.stop.elapsed()
        lost, told_steps = 0, 0
        while not self._over():
            # All that is random in a step comes from here, so that a resumed training goes on as if it had never stopped.
            rng = np.random.default_rng([self.recipe.seed, self.learner.progress.step])
            episodes = [draw_episode(sets, rng) for _ in range(self.recipe.episodes)]
            figures = self.learner.learn(episodes, lambda: self.stop.asked)
            if figures is None:
                continue
            self.taken.append(figures)
            now = self.stop.elapsed()
            self.learner.progress.seconds = self.seconds_before + now
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
            if now - judged > JUDGE_EVERY:
                self._judge()
                judged = told = self.stop.elapsed()
        save_checkpoint(self.learner, self.checkpoint)
        if len(self.taken) > told_steps:
            self._tell(self.taken[told_steps:], self.stop.elapsed() - told)
        seconds = self.stop.elapsed() - began
        scores = self._judge()
        size = export(self.learner, scores, self.folder / GENERATOR)
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

    def _judge(self) -> tuple[TaskScore, ...]:
        """Scores on the tasks apart, told and logged."""
        self.progress("judging", 0)
        scores = self.judge.scores(self.learner.generator())
        for score in scores:
            self.say(score.line())
        self._log({"step": self.learner.progress.step, "scores": [asdict(score) for score in scores]})
        return scores

    def _tell(self, steps: list[StepFigures], seconds: float) -> None:
        figures = TextFigures.of(steps, self.learner.progress.step, seconds, self.recipe.episodes)
        self.say(figures.line())
        self._log(asdict(figures))

    def _log(self, line: dict[str, object]) -> None:
        try:
            with (self.folder / LOG).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            self.notes.append(f"{self.folder / LOG}: the log can't be written: {error.strerror}")

    def _leg(self, seconds: float, scores: tuple[TaskScore, ...], size: int) -> TextLeg:
        threads = torch.get_num_threads()
        cpu = f"CPU, {threads} thread{'' if threads == 1 else 's'}"
        return TextLeg(
            steps=self.learner.progress.step - self.first_step,
            planned=self.recipe.steps,
            figures=TextFigures.of(self.taken, self.learner.progress.step, seconds, self.recipe.episodes),
            scores=scores,
            interrupted=self.stop.asked,
            checkpoint=self.checkpoint,
            generator=self.folder / GENERATOR,
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
