"""Classes of a set of pictures beside those that options or a model name: asked before a picture is read, by names alone."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from modelgpt_edge.data.picture_set import PictureSet
from modelgpt_edge.errors import InputError
from modelgpt_edge.requirement.classes import MOST_CLASSES, same_name
from modelgpt_edge.requirement.classes_asked import spelled_as
from modelgpt_edge.requirement.wording import counted, shown, spoken, spoken_name

SUCH_AS = "cat,dog,bird"
# From which share of letters on two names may be one that is misspelled, or said of several.
NEAR = 0.85
_SHOWN = 3


def check_picture_classes(pictures: PictureSet, asked: Mapping[str, str]) -> None:
    """InputError where a set has more than 200 classes, or one alone and options name no other.

    Args:
        asked: classes that options name.
    """
    counts = pictures.counts
    if len(counts) > MOST_CLASSES:
        what = f"{len(counts):,} classes are more than the {MOST_CLASSES} that can be told apart"
        cure = f"Group them into at most {MOST_CLASSES}, or name another column of classes by --label."
        raise InputError(what, where=pictures.name, seen=pictures.classes[0], cure=cure)
    if len(counts) == 1 and not set(spelled_as_pictures(asked, counts)[0]) - set(counts):
        cure = "Give pictures of another class, or name the others by --classes."
        raise InputError("there is one class only", where=pictures.name, seen=pictures.classes[0], cure=cure)


def spelled_as_pictures(asked: Mapping[str, str], found: Iterable[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """`spelled_as` of classes that are folders' names, where "hot dog" and "hot_dog" are one too."""
    return spelled_as(asked, found, _plain)


def near_misses(without: Sequence[str], found: Iterable[str]) -> tuple[str, ...]:
    """A note on classes without pictures whose names are all but those of classes with some."""
    known = {_plain(name): name for name in found}
    pairs = []
    for name in without:
        close = difflib.get_close_matches(_plain(name), known, 1, NEAR)
        if close and _digits(close[0]) == _digits(name):  # numbers name different things
            pairs.append(f"{shown(name)} beside {shown(known[close[0]])}")
    if not pairs:
        return ()
    more = f" and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else ""
    return (f"Much alike, but two classes: {spoken(pairs[:_SHOWN])}{more}. Spell them alike if you mean one.",)


def as_the_model_has(pictures: PictureSet, classes: Sequence[str]) -> PictureSet:
    """Test pictures by the classes' names as a model has them, with a note on those that it doesn't know.

    Raises:
        InputError: it knows none of them.
    """
    counts = pictures.counts
    own, _ = spelled_as_pictures(dict.fromkeys(counts, ""), classes)
    by_name: dict[str | None, str] = dict(zip(counts, own)) if len(own) == len(counts) else {name: name for name in counts}
    unknown = [name for name in pictures.classes if by_name[name] not in classes]
    if len(unknown) == len(counts):
        known = ", ".join([shown(name) for name in classes[:_SHOWN]]) + (", ..." if len(classes) > _SHOWN else "")
        cure = f"Give pictures of the model's classes: {known}."
        raise InputError("the model knows no class of the test pictures", where=pictures.name, seen=unknown[0], cure=cure)
    entries = tuple(replace(entry, label=by_name.get(entry.label)) for entry in pictures.entries)
    if not unknown:
        return replace(pictures, entries=entries)
    told = [f"{counted(counts[name], 'picture')} of {shown(name)}" for name in unknown]
    more = f" and {len(told) - _SHOWN} more classes" if len(told) > _SHOWN else ""
    note = f"Classes that the model doesn't know count as wrong: {', '.join(told[:_SHOWN])}{more}."
    return replace(pictures, entries=entries, notes=(*pictures.notes, note))


def _plain(name: str) -> str:
    return same_name(spoken_name(name))


def _digits(name: str) -> str:
    return "".join(filter(str.isdigit, name))
