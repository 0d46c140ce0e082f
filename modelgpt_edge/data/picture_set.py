"""Pictures with names and classes that are read when they are wanted: what every kind of source becomes.

Nothing is decoded here, and nothing is known of where pictures lie.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from modelgpt_edge.data.class_order import class_order
from modelgpt_edge.data.raw import Cells, is_missing
from modelgpt_edge.data.words import level, read_words
from modelgpt_edge.pictures.read import Picture

# How names of files end that hold a picture of a kind that is read, in lower case.
ENDINGS = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
)
# More than anyone means to give: a folder or zip with more entries was given by mistake, or made to do harm.
MOST_FILES = 1_000_000


@dataclass(frozen=True)
class PictureEntry:
    """One picture.

    Attributes:
        name: what to call it before people, such as its path in the folder.
        label: its class; None where that isn't known.
        content: what `read_picture` takes, fetched anew at each call; InputError where it can't be had.
    """

    name: str
    label: str | None
    content: Callable[[], Picture]


@dataclass(frozen=True)
class PictureSet:
    """Pictures in the order of their source.

    Attributes:
        name: what to call the source.
        notes: what the user should know of it, such as what was left out.
    """

    name: str
    entries: tuple[PictureEntry, ...]
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> Mapping[str, int]:
        """How many pictures each class has, without those whose class isn't known."""
        return Counter(entry.label for entry in self.entries if entry.label is not None)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that have pictures, in order."""
        return class_order(self.counts)


def is_picture_name(name: str) -> bool:
    """Whether a file's name ends as a picture's."""
    return name.lower().endswith(ENDINGS)


def is_picture(thing: object) -> bool:
    """Whether a thing in memory is one picture by the look of it: a path, bytes, a Pillow image, an array of 2 or 3 axes."""
    if isinstance(thing, (str, os.PathLike)):
        return is_picture_name(os.fsdecode(thing))
    if isinstance(thing, np.ndarray):
        return thing.ndim in (2, 3) and thing.dtype.kind in "buif"
    return isinstance(thing, (bytes, bytearray)) or is_image(thing) or hasattr(thing, "read")


def is_image(thing: object) -> bool:
    """Whether this is a Pillow image, told without importing Pillow."""
    return any(kind.__module__ == "PIL.Image" and kind.__name__ == "Image" for kind in type(thing).__mro__)


def label_words(cells: Cells) -> list[str | None]:
    """Raw cells as names of classes, None where there is nothing: "none" and "NA" are names here, unlike in a table."""
    return [word or (_name(cell) or None) for word, cell in zip(read_words(cells), cells)]


def clean_name(name: str) -> str:
    """A name from a file system on which any text can be written, in NFC; bytes that are no text are replaced."""
    return level(os.fsencode(name).decode("utf-8", "replace"))


def _name(cell: object) -> str:
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", "replace")
    return level(cell) if isinstance(cell, str) else "" if is_missing(cell) else str(cell)
