"""Shards: batches of synthetic examples drawn ahead of training, so that no accelerator waits for them.

A shard follows from the recipe and its number alone. Its tables share one shape, and cells are packed to a quarter.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from modelgpt_edge.child import Floats
from modelgpt_edge.errors import InputError
from modelgpt_edge.parameters.cells import FIRST_CATEGORY, SLOTS
from modelgpt_edge.training.examples import Example, example
from modelgpt_edge.training.priors import draw_sizes, draw_table
from modelgpt_edge.training.priors.sizes import CLASSES

FORMAT = "modelgpt-edge shard 2"
FEWEST_ROWS, FEWEST_COLUMNS = 48, 4
# Rows times columns of a table, beyond which a step would need too much memory.
MOST_CELLS = 9_000
# Logits beyond this say no more than certainty.
SURE = 12.0


class DamagedShardError(InputError):
    """A shard that can't be read (exit 1)."""


@dataclass(frozen=True)
class Recipe:
    """What shards are drawn from.

    Attributes:
        rows: the most context rows of a table; the fewest are 48, or as many where that is less.
        columns: the most columns of a table; the fewest are 4, or as many where that is less.
        tables: tables of a shard, which is one step's batch.
    """

    seed: int = 0
    rows: int = 600
    columns: int = 40
    tables: int = 16

    def shape(self, rng: np.random.Generator) -> tuple[int, int, int]:
        """Draw the shape of a shard's tables: context rows, query rows and columns."""
        while True:
            rows, columns = (min(FEWEST_ROWS, self.rows), self.rows), (min(FEWEST_COLUMNS, self.columns), self.columns)
            drawn = draw_sizes(rng, rows, columns, regression=0)
            query = drawn.rows // 3 + FEWEST_ROWS
            if (drawn.rows + query) * (drawn.columns + 1) <= MOST_CELLS:
                return drawn.rows, query, drawn.columns


@dataclass(frozen=True)
class Shard:
    """B examples of N rows and C columns; classes are padded to the most that a table may have, K = 10.

    Attributes:
        numbers: the first four slots of the cells, (B, N, C, 4) float16.
        category: which of the other slots is one, (B, N, C) int8; -1 for none.
        labels: places of the classes, (B, N) int8; every class of a table occurs in its context rows.
        scores: the floor's centred logits, (B, N, K) float16; zero for classes that a table hasn't.
        context: number of context rows, which come first.
    """

    numbers: NDArray[np.float16]
    category: NDArray[np.int8]
    labels: NDArray[np.int8]
    scores: NDArray[np.float16]
    context: int

    @staticmethod
    def of(examples: list[Example]) -> Shard:
        """Pack examples of one shape."""
        cells = np.stack([e.cells for e in examples])
        words = cells[..., FIRST_CATEGORY:]
        category = np.where(words.any(-1), words.argmax(-1), -1)
        scores = np.zeros((*cells.shape[:2], CLASSES), np.float16)
        for packed, e in zip(scores, examples):
            packed[:, : e.scores.shape[1]] = np.clip(e.scores - e.scores.mean(1, keepdims=True), -SURE, SURE)
        labels = np.stack([e.labels.argmax(1) for e in examples])
        numbers = cells[..., :FIRST_CATEGORY].astype(np.float16)
        return Shard(numbers, category.astype(np.int8), labels.astype(np.int8), scores, examples[0].context)

    def cells(self) -> Floats:
        """The cells (B, N, C, 13) again."""
        words = self.category[..., None] == np.arange(SLOTS - FIRST_CATEGORY, dtype=np.int8)
        return np.concatenate([self.numbers, words], axis=-1, dtype=np.float32)


def draw_shard(recipe: Recipe, number: int) -> Shard:
    """Draw a shard; the same recipe and number give the same one. About a second, more for wide tables."""
    rng = np.random.default_rng([recipe.seed, number])
    context, query, columns = recipe.shape(rng)
    examples: list[Example] = []
    while len(examples) < recipe.tables:
        classes = draw_sizes(rng, (context, context), (columns, columns), regression=0).classes
        drawn = example(draw_table(rng, context + query, columns, classes), context, rng)
        if drawn is not None:
            examples.append(drawn)
    return Shard.of(examples)


def shard_path(folder: Path, number: int) -> Path:
    """Where a shard lies in a folder of shards."""
    return folder / f"{number:06d}.safetensors"


def write_shard(folder: Path, recipe: Recipe, number: int) -> None:
    """Draw a shard into a folder that exists, whole or not at all; one that lies there already is left.

    Raises:
        OSError: it can't be written.
    """
    path = shard_path(folder, number)
    if path.exists():
        return
    shard = draw_shard(recipe, number)
    tensors: dict[str, NDArray[Any]] = {
        "numbers": shard.numbers,
        "category": shard.category,
        "labels": shard.labels,
        "scores": shard.scores,
    }
    facts = {"format": FORMAT, "recipe": json.dumps(asdict(recipe)), "context": str(shard.context)}
    partial = path.with_suffix(".partial")
    try:
        partial.write_bytes(save(tensors, facts))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read_shard(folder: Path, recipe: Recipe, number: int) -> Shard:
    """Read a shard of a recipe.

    Raises:
        DamagedShardError: it is missing, cut short or not a shard.
        InputError: it is of another recipe.
    """
    path = shard_path(folder, number)
    try:
        with safe_open(path, framework="np") as file:
            facts = file.metadata() or {}
            if facts.get("format") != FORMAT:
                raise ValueError(f"its format is {facts.get('format')!r}, not {FORMAT!r}")
            found = Recipe(**json.loads(facts["recipe"]))
            tensors = {name: file.get_tensor(name) for name in ("numbers", "category", "labels", "scores")}
            shard = Shard(**tensors, context=int(facts["context"]))
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        cure = "It is passed over; delete it."
        raise DamagedShardError("this shard can't be read", where=str(path), seen=str(error), cure=cure) from error
    if found != recipe:
        cure = "Give the same seed, rows, columns and batch again, or another folder for --out."
        raise InputError("this shard was drawn with other settings", where=str(path), seen=asdict(found), cure=cure)
    return shard
