"""Find the label column.

It is what the user named, else what the task's text asks for, else what is advised, else a usual name, else the last column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelgpt_edge.data.column_types import type_column
from modelgpt_edge.data.profile import ColumnProfile
from modelgpt_edge.errors import InputError, nearest
from modelgpt_edge.requirement.advice import NO_ADVICE, Advice
from modelgpt_edge.requirement.asked_for import find_asked_for
from modelgpt_edge.requirement.questions import find_in_question
from modelgpt_edge.requirement.wording import name_words, shown, spoken
from modelgpt_edge.schema import Dropped

# Usual names of label columns as `name_words`, the surest first.
USUAL = (
    *("label", "labels", "target", "class", "class label", "target class", "y"),
    *("outcome", "response", "output", "species", "diagnosis"),
)


@dataclass(frozen=True)
class FoundLabel:
    """A label column, the rule that found it, notes for the user, and whether that rule only guesses."""

    profile: ColumnProfile
    because: str
    notes: tuple[str, ...] = ()
    guessed: bool = False


def find_label(asked: str | None, task: str, columns: Sequence[ColumnProfile], advice: Advice = NO_ADVICE) -> FoundLabel:
    """Find the label among a table's columns.

    Args:
        asked: the value of ``--label``; None to look for it.
        task: the task's text.
        columns: profiles of all columns, at least one.
        advice: whose label is taken where neither option nor text names one.

    Raises:
        InputError: no column is named `asked`; the nearest names are offered.
    """
    if asked is not None:
        return _by_option(asked, columns)
    by_name = {c.name: c for c in reversed(columns)}
    notes: tuple[str, ...] = ()
    name = find_asked_for(task, [c.name for c in columns])
    if name is not None and not (why := _tells_rows_apart(by_name[name])):
        return FoundLabel(by_name[name], "the task's text asks for it")
    others = [c.name for c in columns if not _tells_rows_apart(c)]
    if name is not None:
        notes = (f"The task's text speaks of {shown(name)}, which is no label ({why}).",)
        name = find_asked_for(task, others)
    name = name or find_in_question(task, others)
    if name is not None:
        return FoundLabel(by_name[name], "the task's text is about it", notes)
    if advice.label is not None:
        return FoundLabel(by_name[advice.label], f"{advice.by} reads it from the task", notes)
    by_words = {name_words(c.name): c for c in reversed(columns)}
    usual = [by_words[u] for u in USUAL if u in by_words]
    if usual:
        return FoundLabel(usual[0], "its name is usual for a label", (*notes, *_rivals(usual)), guessed=True)
    filled = [c for c in columns if c.missing < c.rows]
    return FoundLabel((filled or list(columns))[-1], "it is the last column", notes, guessed=True)


def _tells_rows_apart(column: ColumnProfile) -> str:
    """Why a column of words can be no label: free text, names of files; "" where it can."""
    typed = type_column(column)
    apart = isinstance(typed, Dropped) and not column.numeric and column.distinct > 2
    return typed.because if apart else ""


def _by_option(asked: str, columns: Sequence[ColumnProfile]) -> FoundLabel:
    for column in columns:
        if column.name == asked:
            return FoundLabel(column, "--label names it")
    levels: tuple[Callable[[str], str], ...] = (_spaced, lambda name: _spaced(name).casefold(), name_words)
    for level in levels:
        close = [c for c in columns if level(c.name) == level(asked) != ""]
        if len(close) == 1:
            note = f"Took the column {shown(close[0].name)} for --label {shown(asked)}."
            return FoundLabel(close[0], "--label names it, but for case or spacing", (note,))
        if close:
            cure = f"Spell it as the header does: {' or '.join(repr(c.name) for c in close[:5])}."
            raise InputError("several columns could be the label", where="--label", seen=asked, cure=cure)
    raise InputError("no column has this name", where="--label", seen=asked, cure=nearest(asked, [c.name for c in columns]))


def _spaced(name: str) -> str:
    return " ".join(name.split())


def _rivals(usual: Sequence[ColumnProfile]) -> tuple[str, ...]:
    """A note where several columns are named like labels: the others may give the label away."""
    if len(usual) == 1:
        return ()
    label, *rest = (shown(c.name) for c in usual)
    inputs = f"{spoken(rest)} {'is an input' if len(rest) == 1 else 'are inputs'}"
    return (f"{label} is the label and {inputs}: remove what gives the label away, or pass --label.",)
