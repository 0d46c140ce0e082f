"""Pictures that the caller holds: a dict of classes, pairs of picture and label, or without classes just pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.data.picture_set import PictureEntry, PictureSet, is_image, is_picture, label_words
from modelgpt_edge.errors import InputError
from modelgpt_edge.pictures.read import Picture

NAME = "the pictures"
_IS_PICTURE = "picture is a path, bytes, an open file, a Pillow image or an array (height, width, channels)."
_WITH_LABELS = (
    'Give pairs of a picture and its label, pictures and labels as (X, y), or a dict such as {"cat": [...], "dog": [...]}; '
    f"a {_IS_PICTURE}"
)
_ALONE = f"Give a picture, a folder, zip or table of them, or a list; a {_IS_PICTURE}"
# Numbers of channels of a picture; an array whose first axis is as long may be one picture, as torch holds it.
_CHANNELS = (3, 4)


def open_picture_memory(source: object, labelled: bool) -> PictureSet:
    """Pictures in memory as a set; classes are dropped where not `labelled`.

    Args:
        source: a dict of class and pictures, pairs of picture and label, or N pictures and as many labels in a pair; where not
            `labelled` also pictures alone: one, a list of them, or an array (N, H, W) or (N, H, W, C).

    Raises:
        InputError: it is something else, or holds no picture; or it is an array (3 | 4, H, W), which may be one picture or
            several.
    """
    cure = _WITH_LABELS if labelled else _ALONE
    if isinstance(source, Mapping):
        entries = tuple(_of_classes(source, cure))
    elif is_columns(source):
        entries = tuple(_of_columns(*source))
    elif is_pairs(source):
        entries = tuple(_of_pairs(source, cure))
    else:
        several = _several(source, NAME, cure)
        entries = tuple(picture_entry(f"picture {place}", None, item) for place, item in enumerate(several, 1))
    if not entries:
        raise InputError("there are no pictures", where=NAME, cure=cure)
    if not labelled:
        return PictureSet(NAME, tuple(PictureEntry(entry.name, None, entry.content) for entry in entries))
    known = tuple(entry for entry in entries if entry.label is not None)
    if not known:
        raise InputError("these pictures have no classes", where=NAME, cure=cure)
    left = len(entries) - len(known)
    return PictureSet(NAME, known, (f"Left out for want of a label: {left:,} of {len(entries):,} pictures.",) if left else ())


def is_columns(source: object) -> TypeGuard[Sequence[Any]]:
    """Whether this is a pair (X, y) of pictures and labels: an array or a list of pictures, and a list or array of words."""
    if not isinstance(source, (list, tuple)) or len(source) != 2:
        return False
    pictures, labels = source
    if not isinstance(labels, (list, tuple)) and not (isinstance(labels, np.ndarray) and labels.ndim == 1):
        return False
    if any(is_picture(label) for label in labels):
        return False
    if isinstance(pictures, np.ndarray) and pictures.dtype != object:
        return pictures.ndim >= 3
    return isinstance(pictures, (list, tuple, np.ndarray)) and len(pictures) > 0 and all(map(is_picture, pictures))


def is_pairs(source: object) -> bool:
    """Whether this is a list of pairs of a picture and a label, told by its first item."""
    if not isinstance(source, (list, tuple)) or not source:
        return False
    first = source[0]
    return isinstance(first, (list, tuple)) and len(first) == 2 and is_picture(first[0])


def is_classes(source: object) -> bool:
    """Whether this is a dict of class and pictures, and not one of a table's columns: every value holds pictures."""
    return isinstance(source, Mapping) and bool(source) and all(map(_holds_pictures, source.values()))


def _holds_pictures(value: object) -> bool:
    if isinstance(value, np.ndarray) and value.dtype.kind in "buif":
        return value.ndim >= 3
    return (isinstance(value, (list, tuple)) and (not value or is_picture(value[0]))) or is_image(value)


def _of_classes(source: Mapping[Any, Any], wanted: str) -> Iterator[PictureEntry]:
    for key, word in zip(source, label_words(list(source))):
        if word is None:
            raise InputError("a class has no name", where=NAME, seen=key, cure="Give each class a name.")
        pictures = _several(source[key], f"class {word!r}", wanted)
        if not len(pictures):
            cure = "Give pictures of it, or leave it out; a class without pictures can be named by `classes`."
            raise InputError("a class has no pictures", where=NAME, seen=word, cure=cure)
        for place, item in enumerate(pictures, 1):
            yield picture_entry(f"{word}, picture {place}", word, item)


def _of_columns(pictures: Any, labels: Any) -> Iterator[PictureEntry]:
    if len(pictures) != len(labels):
        seen = f"{len(pictures):,} pictures, {len(labels):,} labels"
        raise InputError("there isn't one label for each picture", where=NAME, seen=seen, cure="Give as many of both.")
    for place, (item, word) in enumerate(zip(pictures, label_words(list(labels))), 1):
        yield picture_entry(f"picture {place}", word, item)


def _of_pairs(source: Any, wanted: str) -> Iterator[PictureEntry]:
    odd = next((i for i, pair in enumerate(source) if not isinstance(pair, (list, tuple)) or len(pair) != 2), None)
    if odd is not None:
        raise InputError("this is no pair of a picture and a label", where=f"{NAME}, item {odd + 1}", cure=wanted)
    labels = label_words([pair[1] for pair in source])
    for place, (pair, word) in enumerate(zip(source, labels), 1):
        yield picture_entry(f"picture {place}", word, pair[0])


def _several(source: object, where: str, wanted: str) -> Sequence[Any] | NDArray[Any]:
    """The pictures of a list or an array.

    An array (H, W) or (H, W, 1 | 3 | 4) is one picture, and any other of three axes several; but where the first may be one
    picture's channels, InputError. Other things than pictures: InputError with the cure `wanted`.
    """
    if isinstance(source, np.ndarray) and source.dtype != object:
        one = source.ndim == 2 or (source.ndim == 3 and source.shape[2] in (1, *_CHANNELS))
        if source.ndim == 3 and not one and source.shape[0] in _CHANNELS:
            cure = "Move the channels to the end: array.transpose(1, 2, 0). Of grey pictures give array[..., None]."
            what = "this may be one picture with its channels first, or several grey ones"
            raise InputError(what, where=where, seen=source.shape, cure=cure)
        return source[None] if one else source
    if isinstance(source, (list, tuple)) or (isinstance(source, np.ndarray) and source.ndim == 1):
        return source
    if is_picture(source):
        return [source]
    raise InputError("these are no pictures", where=where, seen=type(source).__name__, cure=wanted)


def picture_entry(name: str, label: str | None, item: Any) -> PictureEntry:
    """A picture that the caller holds; a path is called by itself. InputError where it is no picture by the look of it."""
    if isinstance(item, (str, os.PathLike)):
        return PictureEntry(os.fsdecode(item), label, partial(_given, item))
    if not is_picture(item):
        raise InputError("this is no picture", where=name, seen=type(item).__name__, cure=f"A {_IS_PICTURE}")
    return PictureEntry(name, label, partial(_given, item))


def _given(item: Picture) -> Picture:
    return item
