"""Tell a task about texts from one about a table, and find the columns that hold the texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelgpt_edge.data.column_types import type_column
from modelgpt_edge.data.profile import ColumnProfile, Profile
from modelgpt_edge.errors import InputError, nearest
from modelgpt_edge.requirement.label import USUAL, FoundLabel, find_label
from modelgpt_edge.requirement.wording import name_words, shown
from modelgpt_edge.schema import Column

# What people call a column of texts.
NAMES = frozenset(
    {"text", "texts", "sentence", "message", "review", "comment", "question", "query", "utterance", "tweet", "post", "sms"}
    | {"email", "mail", "body", "content", "document", "headline", "title", "description", "phrase", "feedback", "ticket"}
)
# What people call two texts that are compared, as `name_words` without blanks.
PAIRS = (
    *(("text", "textpair"), ("premise", "hypothesis"), ("query", "passage"), ("question", "answer")),
    *((f"{name}{a}", f"{name}{b}") for name in ("text", "sentence", "question", "title", "string") for a, b in ("12", "ab")),
    *((f"{name}", f"{name}2") for name in ("text", "sentence", "question")),
)
SPLITS = frozenset({"split", "set", "fold", "partition", "subset"})
FEW_ROWS = 20


@dataclass(frozen=True)
class TextColumns:
    """Where the texts and their labels are.

    Attributes:
        texts: one column, or the two of a pair; notes: what the user should know of the choice.
    """

    texts: tuple[Column, ...]
    label: FoundLabel
    notes: tuple[str, ...] = ()


def find_texts(asked: Sequence[str], label: str | None, task: str, profile: Profile) -> TextColumns | None:
    """The text columns of a file; None where the task is about a table.

    It is about texts where ``--text`` says so; where a column of free text is called so and hardly anything stands beside it;
    or where free text is all that there is.

    Raises:
        InputError: ``--text`` names what isn't there, or more than one column.
    """
    known = {c.name: c for c in profile.columns}
    if asked:
        return _by_option(asked, label, task, known)
    found = find_label(label, task, profile.columns)
    free = [c for c in profile.columns if _is_free(c)]
    # "The last column" is where a file of label and text has its texts; of a few rows each may well have a class of its own.
    if (
        label is None
        and found.profile in free
        and not (found.profile.rows <= FEW_ROWS and name_words(found.profile.name) in USUAL)
    ):
        others = [c for c in profile.columns if c not in free and c.present]
        if not others:
            return None
        found = find_label(None, task, others)
    free = [c for c in free if c.name != found.profile.name]
    if not free:
        return None
    rest = [c for c in profile.columns if c not in free and c.name != found.profile.name]
    useful = [c for c in rest if isinstance(type_column(c), Column) and name_words(c.name) not in SPLITS]
    named = [c for c in free if set(name_words(c.name).split()) & NAMES]
    if useful and not (named and len(useful) <= 1):
        return None
    if pair := _pair(free):
        names = tuple(Column(c.name, "text", "free text, and its name is one of a pair") for c in pair)
        return TextColumns(names, found, tuple(_unused(useful, "the model compares the pair alone")))
    text = max(named or free, key=lambda c: (c.longest, c.name))
    because = "free text, and its name says so" if named else "free text, and nothing else tells of the label"
    others = [c for c in free if c is not text]
    notes = [f"{shown(c.name)} is text too and isn't used: --text names the column to read." for c in others[:3]]
    notes += _unused(useful, f"the model reads {shown(text.name)} alone")
    return TextColumns((Column(text.name, "text", because),), found, tuple(notes))


def _unused(columns: Sequence[ColumnProfile], why: str) -> list[str]:
    return [f"{shown(c.name)} isn't used: {why}." for c in columns]


def _pair(free: Sequence[ColumnProfile]) -> tuple[ColumnProfile, ColumnProfile] | None:
    """Two columns that are named as texts to be compared, in their order."""
    by_words = {name_words(c.name).replace(" ", ""): c for c in free}
    for first, second in PAIRS:
        if first in by_words and second in by_words:
            return by_words[first], by_words[second]
    return None


def _by_option(asked: Sequence[str], label: str | None, task: str, known: dict[str, ColumnProfile]) -> TextColumns:
    missing = next((name for name in asked if name not in known), None)
    if missing is not None:
        raise InputError("no column has this name", where="--text", seen=missing, cure=nearest(missing, known))
    if len(asked) > 2 or len(set(asked)) < len(asked):
        cure = "Name one column, or the two that are to be compared."
        raise InputError("these are no text and no pair", where="--text", seen=list(asked), cure=cure)
    others = [c for name, c in known.items() if name not in asked]
    if not others:
        raise no_labels(asked[0], "--text")
    found = find_label(label, task, list(known.values()) if label in asked else others)
    if found.profile.name in asked:
        raise InputError("a column can't be text and label", where="--text", seen=asked[0], cure="Name another by --label.")
    return TextColumns(tuple(Column(name, "text", "--text names it") for name in asked), found)


def only_texts(profile: Profile) -> bool:
    """Whether a file holds free text and nothing that could be a label."""
    present = [c for c in profile.columns if c.present]
    return bool(present) and all(_is_free(c) for c in present)


def no_labels(seen: str, where: str) -> InputError:
    """The error where there are texts alone."""
    cure = (
        "Add a column of labels; or leave out --data: with --classes the names make a model, to which such texts add nothing."
    )
    return InputError("these texts have no labels", where=where, seen=seen, cure=cure)


def _is_free(column: ColumnProfile) -> bool:
    """Whether a column holds sentences: most cells have blanks, hardly one comes twice, and few are numbers or dates."""
    if not column.present or column.date_format or column.numeric > 0.1 * column.present or column.boolean:
        return False
    differ = column.distinct / column.present
    return column.phrases >= 0.5 and (differ >= 0.8 or (column.rows <= FEW_ROWS and column.unique))
