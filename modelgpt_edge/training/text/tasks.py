"""Labelled texts to draw tasks from: which public sets, which of their classes are learnt from, and which are kept to judge by.

A class of a set is learnt from or judged by, never both: of sets of many intents, in sorted order, every other one is kept, and
some sets are kept whole. Of what is learnt from, the training part alone is read. A set of your own is a `TextTask` more.
"""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from modelgpt_edge.errors import InputError

FOLDER = "MODELGPT_EDGE_DATA"
# Sets of which every other class is learnt from, beginning with the first: that half of CLINC150's is the one on which the
# solved head's constants were chosen. Then those that are learnt whole and those that are kept whole; `collect.py` writes most.
HALVED = ("clinc150", "banking77")
LEARNT = ("topics", "kinds", "fortunes", "packages", "travellers", "tweets", "goods")
KEPT = ("sst2", "news", "editorials")
COLUMNS = ("text", "label", "split")


@dataclass(frozen=True)
class TextTask:
    """Classes by name and the texts of each; of a task to judge by, those to learn from, and apart from them those to ask."""

    name: str
    classes: tuple[str, ...]
    texts: tuple[tuple[str, ...], ...]
    asked: tuple[tuple[str, ...], ...] = ()


def read_tasks() -> tuple[list[TextTask], list[TextTask]]:
    """The tasks to learn from and those to judge by, as far as their files are there.

    Raises:
        InputError: there is none to learn from, or a file can't be read.
    """
    folder = os.environ.get(FOLDER)
    found = {name: Path(folder or ".") / "text" / f"{name}.csv.gz" for name in (*HALVED, *LEARNT, *KEPT)}
    there = {name: path for name, path in found.items() if folder and path.is_file()}
    if not set(there) & {*HALVED, *LEARNT}:
        cure = f"Set {FOLDER} to a folder that holds {' or '.join(f'text/{name}.csv.gz' for name in (*HALVED, *LEARNT))}."
        raise InputError("there are no texts to learn from", where=FOLDER, seen=folder, cure=cure)
    learnt, judged = [], []
    for name, path in there.items():
        train, test = _read(path)
        classes = sorted(train)
        if name in HALVED:
            learnt.append(_task(name, classes[::2], train))
            classes = classes[1::2]
        if name in LEARNT:
            learnt.append(_task(name, classes, train))
        else:
            judged.append(_task(name, classes, train, test))
    return learnt, judged


def _task(name: str, classes: Sequence[str], train: dict[str, list[str]], test: dict[str, list[str]] | None = None) -> TextTask:
    asked = () if test is None else tuple(tuple(test.get(label, ())) for label in classes)
    return TextTask(name, tuple(classes), tuple(tuple(train[label]) for label in classes), asked)


def _read(path: Path) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Different texts of each class, of the training and of the test part."""
    parts: dict[str, dict[str, dict[str, None]]] = {"train": {}, "test": {}}
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                text, label, split = (row[column] for column in COLUMNS)
                if split in parts:
                    parts[split].setdefault(label, {})[text] = None
    except (OSError, EOFError, KeyError, ValueError, csv.Error) as error:
        cure = f"Give a gzipped CSV with the columns {', '.join(COLUMNS)}."
        raise InputError("a set of texts can't be read", where=str(path), seen=str(error), cure=cure) from error
    train, test = ({label: list(texts) for label, texts in part.items()} for part in parts.values())
    return train, test
