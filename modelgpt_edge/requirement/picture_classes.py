"""Whether a set of pictures has classes that can be told apart: asked before a picture is read, for names alone say it."""

from __future__ import annotations

from collections.abc import Iterable

from modelgpt_edge.data.picture_set import PictureSet
from modelgpt_edge.errors import InputError
from modelgpt_edge.requirement.classes import MOST_CLASSES


def check_picture_classes(pictures: PictureSet, asked: Iterable[str]) -> None:
    """InputError where a set has more than 200 classes, or one alone and options name no other.

    Args:
        asked: names of classes that options give.
    """
    counts = pictures.counts
    if len(counts) > MOST_CLASSES:
        what = f"{len(counts):,} classes are more than the {MOST_CLASSES} that can be told apart"
        cure = f"Group them into at most {MOST_CLASSES}, or name another column of classes by --label."
        raise InputError(what, where=pictures.name, seen=pictures.classes[0], cure=cure)
    if len(counts) == 1 and not set(asked) - set(counts):
        cure = "Give pictures of another class, or name the others by --classes."
        raise InputError("there is one class only", where=pictures.name, seen=pictures.classes[0], cure=cure)
