"""Trains the LoRA hypernetwork in legs of minutes: every leg goes on where the last one stopped, on CPU cores or one GPU.

A training is a folder: the checkpoint, the generator exported from it, and `log.jsonl`. Texts are embedded by the plain encoder
when a leg begins. What ships is the last generator of a training: none is chosen by the tasks that judge it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch  # noqa: TID251 - what is trained is a torch model

from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.parameters.text.lora import LoraShape
from modelgpt_edge.training.leg import LegDone, Progress, Running, Say, leg_of
from modelgpt_edge.training.stopping import Stop
from modelgpt_edge.training.text.checkpoint import CHECKPOINT, GENERATOR, export, load_checkpoint, save_checkpoint
from modelgpt_edge.training.text.encoder import TorchEncoder
from modelgpt_edge.training.text.episodes import Embedded, draw_episode
from modelgpt_edge.training.text.figures import TextFigures
from modelgpt_edge.training.text.judge import Judge, TaskScore
from modelgpt_edge.training.text.learner import StepFigures, TextLearner, TextRecipe
from modelgpt_edge.training.text.tasks import TextTask

# Seconds between looks at the tasks that judge.
JUDGE_EVERY = 900.0
# Steps of a whole training: about an hour of two idle cores for MiniLM-L6.
STEPS = 4000


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
) -> LegDone[TextFigures, TaskScore]:
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
    with leg_of(folder, minutes, threads) as (stop, device):
        checkpoint, frozen = folder / CHECKPOINT, TorchEncoder.of(encoder, device)
        if checkpoint.exists():
            learner = load_checkpoint(checkpoint, recipe, frozen, device)
            say(f"going on from step {learner.progress.step:,}")
        else:
            learner = TextLearner(shape or LoraShape.of(encoder.files.shape), recipe, frozen, device)
        return _Running(folder, learner, encoder, learnt, judged, stop, device, say, progress).run()


class _Running(Running[StepFigures, TextFigures, TaskScore]):
    """A leg of a hypernetwork's training while it runs."""

    def __init__(
        self,
        folder: Path,
        learner: TextLearner,
        encoder: TextEncoder,
        learnt: list[TextTask],
        judged: list[TextTask],
        stop: Stop,
        device: torch.device,
        say: Say,
        progress: Progress,
    ) -> None:
        recipe, done = learner.recipe, learner.progress
        super().__init__(
            folder, folder / CHECKPOINT, folder / GENERATOR, recipe.steps, done, stop, device, say, progress, JUDGE_EVERY
        )
        self.learner, self.judge = learner, Judge(encoder, judged, recipe.seed)
        wanted = [] if self.over() else learnt
        self.sets = [Embedded.of(task, encoder, lambda share: progress("embedding", share)) for task in wanted]

    def step(self) -> StepFigures | None:
        # All that is random in a step comes from here, so that a resumed training goes on as if it had never stopped.
        recipe = self.learner.recipe
        rng = np.random.default_rng([recipe.seed, self.learner.progress.step])
        episodes = [draw_episode(self.sets, rng) for _ in range(recipe.episodes)]
        return self.learner.learn(episodes, lambda: self.stop.asked)

    def save(self) -> None:
        save_checkpoint(self.learner, self.checkpoint)

    def scores(self) -> tuple[TaskScore, ...]:
        return self.judge.scores(self.learner.generator())

    def export(self, scores: tuple[TaskScore, ...]) -> int:
        return export(self.learner, scores, self.exported)

    def figures(self, steps: Sequence[StepFigures], seconds: float) -> TextFigures:
        return TextFigures.of(steps, self.learner.progress.step, seconds, self.learner.recipe.episodes)
