"""Trains the tiny trunk in legs of minutes: every leg goes on where the last one stopped, on CPU cores or one GPU.

A training is a folder: the checkpoint, the trunk exported from it, and `log.jsonl`. What ships is the last trunk of a training:
none is chosen by the pictures that judge it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch  # noqa: TID251 - what is trained is a torch model

from modelgpt_edge.architecture.image.trunk_shape import TINY, TrunkShape
from modelgpt_edge.training.image.checkpoint import CHECKPOINT, TRUNK, export, load_checkpoint, save_checkpoint, trunk_of
from modelgpt_edge.training.image.drawn import draw_classes
from modelgpt_edge.training.image.figures import ImageFigures
from modelgpt_edge.training.image.judge import Judge, ShotScore
from modelgpt_edge.training.image.learner import ImageLearner, ImageRecipe, StepFigures
from modelgpt_edge.training.image.pictures import NAME, Pictures
from modelgpt_edge.training.leg import LegDone, Progress, Running, Say, leg_of
from modelgpt_edge.training.stopping import Stop

# Classes that are drawn, and pictures of each.
DRAWN, EACH = 400, 60


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
) -> LegDone[ImageFigures, ShotScore]:
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
    with leg_of(folder, minutes, threads) as (stop, device):
        checkpoint = folder / CHECKPOINT
        if checkpoint.exists():
            learner = load_checkpoint(checkpoint, recipe, device)
            say(f"going on from step {learner.progress.step:,}")
        else:
            learner = ImageLearner(recipe, len(kept.classes), device)
        return _Running(folder, learner, learnt, kept, stop, device, say, progress).run()


class _Running(Running[StepFigures, ImageFigures, ShotScore]):
    """A leg of a trunk's training while it runs."""

    def __init__(
        self,
        folder: Path,
        learner: ImageLearner,
        learnt: Pictures,
        kept: Pictures,
        stop: Stop,
        device: torch.device,
        say: Say,
        progress: Progress,
    ) -> None:
        recipe = learner.recipe
        super().__init__(
            folder, folder / CHECKPOINT, folder / TRUNK, recipe.steps, learner.progress, stop, device, say, progress
        )
        self.learner, self.learnt, self.kept = learner, learnt, kept
        if not self.over():
            progress("drawing", 0)
        self.drawn = draw_classes(0 if self.over() else recipe.drawn, recipe.each, recipe.seed)

    def step(self) -> StepFigures:
        return self.learner.learn(self.learnt, self.drawn)

    def save(self) -> None:
        save_checkpoint(self.learner, self.checkpoint)

    def scores(self) -> tuple[ShotScore, ...]:
        return Judge(self.kept, self.learner.recipe.seed).scores(trunk_of(self.learner))

    def export(self, scores: tuple[ShotScore, ...]) -> int:
        return export(self.learner, scores, self.exported)

    def figures(self, steps: Sequence[StepFigures], seconds: float) -> ImageFigures:
        return ImageFigures.of(steps, self.learner.progress.step, seconds, self.learner.recipe.batch)
