"""The model's columns as an app's code needs them: a name that every language takes, how cells are read, a typical value."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import resources
from typing import Literal

import numpy as np

from modelgpt_edge.child import Child
from modelgpt_edge.schema import Column

# Words that C or C++ keep for themselves, or that their headers define as macros.
RESERVED = frozenset(resources.files(__package__).joinpath("c", "reserved.txt").read_text(encoding="utf-8").split())
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class AppColumn:
    """A column of the model.

    Attributes:
        name: as the table spells it.
        field: an identifier of C, C++, Python and JavaScript, unlike every other column's.
        type: ``number``, ``date`` or ``word``.
        decimal: decimal mark of a number in text; date_format: pattern of a date, or ``iso``.
        vocabulary: the known words.
        typical: the median number or day (ISO 8601), or the commonest word, as text: what an example shows.
        number: the median number.
    """

    name: str
    field: str
    type: Literal["number", "date", "word"]
    decimal: str = "."
    date_format: str = "iso"
    vocabulary: tuple[str, ...] = ()
    typical: str = ""
    number: float = 0.0


def app_columns(child: Child, columns: Iterable[Column]) -> tuple[AppColumn, ...]:
    """The child's columns in the order it takes them, numbers and dates before words.

    Args:
        columns: the table's, with types, decimal marks and formats.
    """
    encoder, known = child.encoder, {c.name: c for c in columns}
    fields = identifiers((*encoder.numbers, *encoder.words))
    found = []
    for name, median in zip(encoder.numbers, encoder.median):
        column = known[name]
        if column.type == "date":
            found.append(AppColumn(name, fields[name], "date", date_format=column.date_format, typical=_day(float(median))))
        else:
            shown = np.format_float_positional(median, trim="-").replace(".", column.decimal)
            found.append(AppColumn(name, fields[name], "number", column.decimal, typical=shown, number=float(median)))
    for name, vocabulary in zip(encoder.words, encoder.vocabularies):
        typical = vocabulary[0] if vocabulary else ""
        found.append(AppColumn(name, fields[name], "word", vocabulary=vocabulary, typical=typical))
    return tuple(found)


def _day(days: float) -> str:
    """Days since 1970-01-01 as an ISO date; the first or last of the calendar for a day beyond it."""
    first, last = (date.min - EPOCH).days, (date.max - EPOCH).days
    return (EPOCH + timedelta(days=int(min(max(days, first), last)))).isoformat()


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """An identifier for each name: its letters and digits in ASCII, lower case, joined by single underscores."""
    found: dict[str, str] = {}
    for place, name in enumerate(names, 1):
        plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
        base = re.sub(r"[^a-z0-9]+", "_", plain).strip("_") or f"column_{place}"
        if base[0].isdigit() or base in RESERVED:
            base = f"column_{base}"
        unique, count = base, 1
        while unique in found.values():
            count += 1
            unique = f"{base}_{count}"
        found[name] = unique
    return found
