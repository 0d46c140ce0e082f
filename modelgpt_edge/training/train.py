"""Trains the corrector in legs of minutes: every leg goes on where the last one stopped, on CPU cores, one GPU or several.

A training is a folder: `shards/`, the checkpoint, the generator exported from it, and `log.jsonl`. The synthetic loss says that
something is learnt; which checkpoint is the best is for the development sets to say.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch  # noqa: TID251 - what is trained is a torch model

from modelgpt_edge.errors import InputError, ModelgptEdgeError
from modelgpt_edge.training.ahead import Ahead
from modelgpt_edge.training.batches import Batch
from modelgpt_edge.training.checkpoint import CHECKPOINT, GENERATOR, export, load_checkpoint, save_checkpoint
from modelgpt_edge.training.corrector import Architecture
from modelgpt_edge.training.figures import Leg, Tally
from modelgpt_edge.training.learner import Learner, StepLosses
from modelgpt_edge.training.ranks import Ranks, join_ranks
from modelgpt_edge.training.shards import Recipe
from modelgpt_edge.training.stopping import Stop, stop_when_asked
from modelgpt_edge.training.supply import Supply

SHARDS, LOG = "shards", "log.jsonl"
# Seconds between lines of the log, between checkpoints, and between looks for a first table.
TELL_EVERY, SAVE_EVERY, LOOK_EVERY = 30.0, 60.0, 0.2
# Steps on end without a finite loss, after which a leg gives up.
LOST = 3

Say = Callable[[str], None]


def train_tabular(
    folder: Path,
    minutes: float,
    recipe: Recipe,
    *,
    architecture: Architecture | None = None,
    tables_ahead: int = 640,
    threads: int | None = None,
    say: Say = lambda line: None,
) -> Leg | None:
    """Train for some minutes, from where the folder's checkpoint stands; one step at least.

    Args:
        folder: made where there is none.
        minutes: of the whole leg; 0 draws the tables ahead, and trains nothing.
        recipe: what tables are drawn from; the same in every leg.
        architecture: of a training that begins; one that goes on has its own.
        tables_ahead: tables that background processes keep ready.
        threads: cores to train with; all of them on a CPU and one beside a GPU where not given. The others draw tables, one
            at the least.
        say: takes lines of progress.

    Returns:
        None in processes of torchrun other than the first.

    Raises:
        InputError: the folder holds another training or a damaged one, or can't be written.
        ModelgptEdgeError: the loss isn't finite three times on end; the checkpoint is from before.
    """
    shards = folder / SHARDS
    with join_ranks() as ranks, stop_when_asked(minutes * 60) as stop:
        cores = _cores()
        count = threads or (1 if ranks.device.type == "cuda" else max(1, cores // ranks.world))
        torch.set_num_threads(count)
        if ranks.first:
            _make(shards)
        with Ahead(shards, recipe, max(1, cores - count * ranks.world)) if ranks.first else nullcontext() as ahead:
            shards_ahead = -(-tables_ahead // recipe.tables)
            leg = _Running(folder, recipe, architecture or Architecture(), ranks, stop, ahead, shards_ahead, say)
            if minutes == 0:
                return leg.draw_only()
            return leg.train()


class _Running:
    """A leg while it runs."""

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        architecture: Architecture,
        ranks: Ranks,
        stop: Stop,
        ahead: Ahead | None,
        shards_ahead: int,
        say: Say,
    ) -> None:
        self.folder, self.recipe, self.ranks, self.stop = folder, recipe, ranks, stop
        self.ahead, self.shards_ahead = ahead, shards_ahead
        self.checkpoint, self._say = folder / CHECKPOINT, say
        self.notes: list[str] = []
        if self.checkpoint.exists():
            self.learner = load_checkpoint(self.checkpoint, recipe, ranks.device)
            self.say(f"going on from step {self.learner.progress.step:,}")
        else:
            self.learner = Learner(architecture, recipe.seed, ranks.device)
        progress = self.learner.progress
        self.supply = Supply(folder / SHARDS, recipe, ranks, progress.shard, self.note)
        self.first_step, self.seconds_before = progress.step, progress.seconds
        self.whole, self.recent = Tally(progress), Tally(progress)

    def say(self, line: str) -> None:
        """A line of progress, from the first process alone."""
        if self.ranks.first:
            self._say(line)

    def note(self, line: str) -> None:
        """A line that the leg's report repeats."""
        self.notes.append(line)
        self.say(line)

    def train(self) -> Leg | None:
        """Step until the time is up or somebody asks to stop; then save, and export the generator."""
        lost, told, saved = 0, self.stop.elapsed(), self.stop.elapsed()
        while not self._over():
            if self.ahead is not None:
                self.supply.keep(self.ahead, self.shards_ahead)
            losses = self._step()
            if losses is None:
                continue
            lost = 0 if math.isfinite(losses.loss) else lost + 1
            if lost:
                self._lose(lost)
            if self.ranks.first and self.stop.elapsed() - told > TELL_EVERY:
                self._tell()
                told = self.stop.elapsed()
            if self.ranks.first and not lost and self.stop.elapsed() - saved > SAVE_EVERY:
                self._save()
                saved = self.stop.elapsed()
        if not self.ranks.first:
            return None
        self._save()
        self._tell()
        return self._leg(export(self.checkpoint, self.folder / GENERATOR))

    def draw_only(self) -> Leg | None:
        """Draw the tables ahead, and train nothing."""
        if self.ahead is None:
            return None
        self.supply.keep(self.ahead, self.shards_ahead)
        told = self.stop.elapsed()

        def tell(left: int) -> None:
            nonlocal told
            if self.stop.elapsed() - told > TELL_EVERY:
                told = self.stop.elapsed()
                self.say(f"{left * self.recipe.tables:,} tables left to draw")

        self.ahead.finish(tell, lambda: self.stop.asked)
        return self._leg(0)

    def _over(self) -> bool:
        """Whether to stop, the same answer in all processes: a leg takes one step at least, unless it is interrupted."""
        moved = self.learner.progress.step > self.first_step
        return self.ranks.any(self.stop.asked or (moved and self.stop.late()))

    def _step(self) -> StepLosses | None:
        """Take a step; None where none was taken, for want of tables or by interrupt."""
        progress = self.learner.progress
        # All that is random in a step comes from here, so that a resumed training goes on as if it had never stopped.
        rng = np.random.default_rng([self.recipe.seed, progress.step, self.ranks.rank])
        fresh = self.supply.fresh()
        shard = self.supply.again(rng) if fresh is None else fresh
        if not self.ranks.all(shard is not None) or shard is None:
            time.sleep(LOOK_EVERY)
            return None
        losses = self.learner.learn(Batch.of(shard, self.ranks.device, rng), self.ranks, lambda: self.stop.asked)
        if losses is None:
            return None
        if fresh is not None:
            self.supply.met()
        progress.shard = self.supply.next
        progress.seconds = self.seconds_before + self.stop.elapsed()
        for tally in (self.whole, self.recent):
            tally.steps.append(losses)
        return losses

    def _lose(self, lost: int) -> None:
        """Note a step without a finite loss, and give up after some on end."""
        step = self.learner.progress.step
        self.note(f"step {step:,} is skipped: its loss or a gradient isn't a finite number")
        if lost == LOST:
            what = f"the loss isn't a finite number in {LOST} steps on end"
            cure = "Run the same command again, which goes on from the checkpoint; begin in another folder if it comes back."
            raise ModelgptEdgeError(what, where=str(self.checkpoint), seen=f"step {step}", cure=cure)

    def _save(self) -> None:
        save_checkpoint(self.learner, self.recipe, self.checkpoint)

    def _tell(self) -> None:
        """A line to the log and to whoever watches, over the steps since the last one."""
        figures = self.recent.figures(self.learner.progress)
        self.recent = Tally(self.learner.progress)
        self.say(figures.line())
        try:
            with (self.folder / LOG).open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(figures)) + "\n")
        except OSError as error:
            self.note(f"{self.folder / LOG}: the log can't be written: {error.strerror}")

    def _leg(self, size: int) -> Leg:
        return Leg(
            steps=self.learner.progress.step - self.first_step,
            figures=self.whole.figures(self.learner.progress),
            interrupted=self.stop.asked,
            checkpoint=self.checkpoint,
            generator=self.folder / GENERATOR,
            size=size,
            device=_device_name(self.ranks.device),
            processes=self.ranks.world,
            notes=tuple(self.notes),
        )


def _make(shards: Path) -> None:
    try:
        shards.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        seen = f"{shards.parent}: {error.strerror}"
        cure = "Give a folder that you can write to."
        raise InputError("the training can't be kept here", where="--out", seen=seen, cure=cure) from error


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'' if threads == 1 else 's'}"
