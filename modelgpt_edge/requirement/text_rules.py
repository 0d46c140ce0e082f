"""The rules for tasks about texts: classes from options, examples, or both; limits and devices from the task's text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from modelgpt_edge.data.cells import read_texts
from modelgpt_edge.data.profile import ColumnProfile, Profile
from modelgpt_edge.errors import InputError
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.classes import find_classes
from modelgpt_edge.requirement.classes_asked import require_two, spelled_as
from modelgpt_edge.requirement.classified import classified
from modelgpt_edge.requirement.kind import FEW_VALUES, mostly_numbers
from modelgpt_edge.requirement.none_labels import read_labels, with_none_labels
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.requirement.text_columns import TextColumns
from modelgpt_edge.requirement.wording import clean, counted, shown, spoken
from modelgpt_edge.schema import Column, Dropped, Schema

TEXT, LABEL = "text", "label"
SHOWN_CLASSES = 4


def write_text_requirement(request: Request, found: TextColumns | None, profile: Profile | None) -> Requirement:
    """Understand a request about texts.

    Args:
        found, profile: where texts and labels are, and what the file holds; None where there is no data.

    Raises:
        InputError: there is one class, or too many, or data and options don't fit together.
    """
    if request.kind is not None and request.kind.strip().casefold() != "classification":
        cure = "Leave out --kind: texts are told apart by classes."
        raise InputError("texts are classified, nothing else", where="--kind", seen=request.kind, cure=cure)
    classes = request.classes
    notes: list[str] = []
    if found is None or profile is None:
        require_two(classes)
        schema = Schema(
            columns=(Column(TEXT, "text", "no data: texts come in by this name"),),
            label=Column(LABEL, "category", "names of classes"),
            label_because="no data: --classes names the classes",
            kind="classification",
            kind_because="classes are named",
            classes=tuple(classes),
        )
        rows = 0
    else:
        if request.kind is None and not classes:
            _refuse_amounts(found.label.profile)
        label = found.label.profile
        if not label.many:
            label, none_notes = with_none_labels(label, profile.sample[label.name], classes)
            notes += none_notes
        classes, spelled_notes = spelled_as(classes, label.counts)
        request, notes = replace(request, classes=classes), [*notes, *spelled_notes]
        names, class_notes = _classes(classes, label, len(found.texts))
        notes += [*found.notes, *found.label.notes, *class_notes]
        used = {found.label.profile.name, *(c.name for c in found.texts)}
        dropped = tuple(Dropped(c.name, "the model reads text alone") for c in profile.columns if c.name not in used)
        schema = Schema(
            columns=found.texts,
            label=Column(found.label.profile.name, "category", "names of classes"),
            label_because=found.label.because,
            kind="classification",
            kind_because="texts are classified",
            classes=names,
            dropped=dropped,
        )
        texts = [read_texts(profile.sample[c.name]) for c in found.texts]
        rows = len(usable_rows(texts, read_labels(profile.sample[label.name], names)))
    return classified(request, "text", _sentence(request.task, schema, rows), schema, notes)


def usable_rows(texts: Sequence[Sequence[str]], labels: Sequence[str]) -> list[int]:
    """Places of the rows that can be learnt from: those with a label (N,) and a text, of pairs both, in each column (N,)."""
    return [i for i, label in enumerate(labels) if label and all(column[i].strip() for column in texts)]


def _refuse_amounts(label: ColumnProfile) -> None:
    """InputError where a label is amounts; whole numbers that repeat are classes, however many."""
    scattered = label.distinct > FEW_VALUES and 2 * label.distinct > label.present
    if label.date_format or (mostly_numbers(label) and not label.boolean and (not label.whole or scattered)):
        cure = "Pass --kind classification to take each value as a class, or another column by --label."
        where = f"label column {shown(label.name)}"
        seen = next(iter(label.counts), None) or label.example or f"{label.low:g} to {label.high:g}"
        raise InputError("models of texts tell classes, and this label is amounts", where=where, seen=seen, cure=cure)


def _classes(asked: Mapping[str, str], label: ColumnProfile, texts: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Classes of the data and of the options together: the options' order where they name all, and notes.

    Args:
        texts: that a row has, one or two.
    """
    names, notes = tuple(label.counts), tuple[str, ...]()
    if len(names) != 1 or not asked:  # of one class alone the options may name the others
        names, notes = find_classes(label)
    without = [name for name in asked if name not in label.counts]
    if without:
        known = spoken([shown(name) for name in without[:5]])
        notes += (f"No example of {known}{' and others' if len(without) > 5 else ''}: served by what the name says.",)
        if texts > 1:
            cure = "Give examples of it, or leave it out: what a name says tells nothing of two texts."
            raise InputError("a class of pairs has no example", where="--classes", seen=without[0], cure=cure)
    every = (*names, *without)
    require_two(dict.fromkeys(every, ""))
    return tuple(asked) if set(asked) == set(every) else every, notes


def _sentence(task: str, schema: Schema, rows: int) -> str:
    """The requirement in one sentence: what is told apart, and from what."""
    few = [shown(name, 24) for name in schema.classes[:SHOWN_CLASSES]]
    more = len(schema.classes) - len(few)
    classes = spoken(few, "or") if not more else f"one of {len(schema.classes)} classes such as {spoken(few[:2])}"
    text = " and ".join(shown(c.name) for c in schema.columns)
    examples = counted(rows, "example") if rows else "no examples, by the classes' names alone"
    return f"Classify each {text} as {classes} ({examples}): {clean(task, 120).rstrip('.') or 'sort texts'}."[:300]
