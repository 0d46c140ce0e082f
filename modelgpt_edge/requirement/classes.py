"""List the classes of a label column; refuse a label that has one, or more than can be told apart."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from modelgpt_edge.data.class_order import class_order
from modelgpt_edge.data.profile import ColumnProfile
from modelgpt_edge.errors import InputError
from modelgpt_edge.requirement.kind import mostly_numbers
from modelgpt_edge.requirement.wording import counted, shown, spoken

MOST_CLASSES = 200


def class_counts(label: ColumnProfile) -> Mapping[str, int]:
    """Rows of each class; empty where there are too many to count.

    Among numbers, a cell such as "-" or "." stands for a missing value and is no class.
    """
    if not label.placeholders or not mostly_numbers(label):
        return label.counts
    return {word: rows for word, rows in label.counts.items() if any(map(str.isalnum, word))}


def find_classes(label: ColumnProfile) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Classes in the order of the probabilities (by value where all are numbers, else by text), and notes.

    Raises:
        InputError: there is one class, or there are more than 200.
    """
    counts = class_counts(label)
    where = f"label column {shown(label.name)}"
    if label.many or len(counts) > MOST_CLASSES:
        about = f"about {label.distinct:,}" if label.many else str(len(counts))
        group = f"group the classes into at most {MOST_CLASSES}, or pass another column by --label."
        cure = f"Pass --kind regression, {group}" if mostly_numbers(label) else group.capitalize()
        what = f"{about} classes are more than the {MOST_CLASSES} that can be told apart"
        raise InputError(what, where=where, seen=label.example or next(iter(counts), None), cure=cure)
    if len(counts) == 1:
        cure = "Add rows of another class, or pass another column by --label."
        raise InputError("there is one class only", where=where, seen=next(iter(counts)), cure=cure)
    return class_order(counts), (*_alike(counts), *_rare(counts))


def same_name(name: str) -> str:
    """A class's name without what people vary in spelling it: case, blanks, and how accents are put together."""
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())


def _alike(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Notes on classes that are most likely one."""
    groups: dict[str, list[str]] = {}
    for name in sorted(counts):
        groups.setdefault(same_name(name), []).append(name)
    twice = [
        spoken([f"{shown(name)} ({counted(counts[name], 'row')})" for name in group]) for group in groups.values() if group[1:]
    ]
    more = f"; and {len(twice) - 3} more" if len(twice) > 3 else ""
    return (
        (f"Labels that differ in case or blanks only: {'; '.join(twice[:3])}{more}. Spell them alike if you mean one class.",)
        if twice
        else ()
    )


def _rare(counts: Mapping[str, int]) -> tuple[str, ...]:
    once = [shown(name) for name in sorted(counts) if counts[name] == 1]
    if not once:
        return ()
    names = ", ".join(once[:5]) + (f" and {len(once) - 5} more" if len(once) > 5 else "")
    return (f"Seen once only, so hardly learned: {'class' if len(once) == 1 else 'classes'} {names}.",)
