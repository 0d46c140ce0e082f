"""Labelled texts for bench/text.py: four public sets, halves of two apart, and the few rows that a contender may learn from.

Rows come from `text/*.csv.gz` in the folder that MODELGPT_EDGE_DATA names; the publishers' training and test parts are kept.
"""

from __future__ import annotations

import csv
import gzip
import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from wheels import MissingDataError

FULL = "full"
# Shots at which nothing is drawn.
UNDRAWN = ("0", FULL)
# Every other class of a set, in sorted order, beginning with the second: those that LoRA's generator didn't learn from.
RESTS = {"clinc150-rest": "clinc150", "banking77-rest": "banking77"}
# What a reader has to know of each set: which choices in the product had seen it.
_LEARNT = "LoRA's generator learnt from training texts of half of these classes (every other name in sorted order)"
_SHIPS = "its test texts were among those that decided, yes or no, whether LoRA ships"
_WITHOUT = "the row without LoRA is untouched by that"
_UNCHOSEN = "No constant of the head was chosen on it"
NOTES = {
    "banking77": f"{_LEARNT}, and of the other half {_SHIPS}: look at banking77-rest, and at the row without LoRA. "
    f"{_UNCHOSEN}; it was looked at once while the product was developed.",
    "banking77-rest": "The 38 classes of BANKING77 that LoRA's generator didn't learn from, as a task of their own. "
    f"But {_SHIPS}; {_WITHOUT}. {_UNCHOSEN}.",
    "clinc150": f"{_LEARNT}, the head's constants were chosen on few examples of the same half, and of the other half "
    f"{_SHIPS}: look at clinc150-rest, and at the row without LoRA. Queries out of scope are left out.",
    "clinc150-rest": "The 75 intents of CLINC150 that LoRA's generator didn't learn from, as a task of their own. "
    f"But {_SHIPS}; {_WITHOUT}. {_UNCHOSEN}.",
    "sst2": "Nothing was learnt from it, though LoRA's generator learnt from opinions of other things. "
    f"But {_SHIPS}; how clearly held-out examples must speak against LoRA was settled after a look at its draws, and a draw of "
    "64 of each was why a stronger penalty was looked for, which other opinions then chose.",
    "mrpc": "Pairs of texts, which LoRA doesn't take. The penalties that held-out rows choose among were set with an eye "
    "on it.",
}
SETS = tuple(NOTES)


@dataclass(frozen=True)
class Texts:
    """Texts, the second text of each where they are pairs, and class numbers (N,)."""

    texts: list[str]
    pairs: list[str] | None
    labels: np.ndarray

    def take(self, rows: np.ndarray) -> Texts:
        pairs = None if self.pairs is None else [self.pairs[i] for i in rows]
        return Texts([self.texts[i] for i in rows], pairs, self.labels[rows])


@dataclass(frozen=True)
class TextSet:
    """A set with its classes in sorted order; labels are places among them."""

    name: str
    classes: tuple[str, ...]
    train: Texts
    test: Texts

    @property
    def paired(self) -> bool:
        return self.train.pairs is not None


@lru_cache(maxsize=2)
def load_texts(name: str) -> TextSet:
    """Read a set.

    Raises:
        MissingDataError: its file is not on this machine; the message says how to get it.
        ValueError: there is no such set.
    """
    if name not in SETS:
        raise ValueError(f"unknown set {name!r}: the sets are {', '.join(SETS)}")
    rows = _read(RESTS.get(name, name))
    classes = sorted({row["label"] for row in rows if row["split"] == "train"})
    if name in RESTS:
        classes = classes[1::2]
    places = {label: k for k, label in enumerate(classes)}
    parts = [_part([row for row in rows if row["split"] == part and row["label"] in places], places) for part in PARTS]
    return TextSet(name, tuple(classes), *parts)


PARTS = ("train", "test")


def _read(name: str) -> list[dict[str, str]]:
    folder = os.environ.get("MODELGPT_EDGE_DATA")
    path = Path(folder or ".") / "text" / f"{name}.csv.gz"
    if not folder or not path.exists():
        raise MissingDataError(f"no text/{path.name}: set MODELGPT_EDGE_DATA to the folder that holds text/*.csv.gz")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _part(rows: list[dict[str, str]], places: dict[str, int]) -> Texts:
    pairs = [row["text_pair"] for row in rows] if rows and "text_pair" in rows[0] else None
    return Texts([row["text"] for row in rows], pairs, np.array([places[row["label"]] for row in rows], np.int32))


def draw(texts: Texts, shots: str, seed: int) -> Texts:
    """So many rows of every class, all where there are fewer; those of few shots are among those of more.

    Args:
        shots: a number, or FULL for every row. The order is drawn as well.
    """
    rng = np.random.default_rng([seed, 77])
    order = rng.permutation(len(texts.labels))
    if shots != FULL:
        mine = [order[texts.labels[order] == k][: int(shots)] for k in np.unique(texts.labels)]
        order = rng.permutation(np.concatenate(mine))
    return texts.take(order)


def cut_test(dataset: TextSet, most: int | None) -> TextSet:
    """The set with at most so many test rows, the same ones for every contender and seed."""
    if most is None or most >= len(dataset.test.labels):
        return dataset
    rows = np.sort(np.random.default_rng(77).permutation(len(dataset.test.labels))[:most])
    return replace(dataset, test=dataset.test.take(rows))
