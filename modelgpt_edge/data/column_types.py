"""The rule by which a column becomes numbers, dates or words, or is left out, in words that the report shows."""

from __future__ import annotations

import re

from modelgpt_edge.data.column_profile import ColumnProfile
from modelgpt_edge.data.tally import ENOUGH
from modelgpt_edge.schema import Column, Dropped

MIXED = 0.05  # share of numbers from which a column of words or placeholders has some at all
NEARLY_ALL = 0.9  # share of different cells that makes words free text
FEW_ROWS = 20  # up to here, counting cells and differing words can be chance

_ID_PARTS = frozenset({"id", "ids", "uid", "uuid", "guid", "pk", "rowid", "rownum", "rownumber", "unnamed"})
_ID_ALONE = frozenset({"index", "idx", "key", "no", "nr", "number", "record", "row", "serial"})
_ID_NAME = re.compile(
    r"(account|article|booking|case|client|customer|device|doc|document|employee|event|house|image|invoice|item|loan|member"
    r"|object|order|passenger|patient|person|policy|post|product|property|record|row|sample|session|store|student|subject|ticket"
    r"|track|transaction|user)_?(id|key|no|nr|num|number|index)"
)


def type_column(column: ColumnProfile) -> Column | Dropped:
    """How a column is read, with the reason, or that it is dropped, with the reason."""
    if why := _useless(column):
        return Dropped(column.name, why)
    if column.boolean:
        return Column(column.name, "category", "booleans")
    others = column.present - column.placeholders
    if column.numeric >= max(ENOUGH * others, MIXED * column.present):
        return _number(column)
    if column.date_format:
        return _date(column)
    return _words(column)


def _useless(column: ColumnProfile) -> str:
    if not column.present:
        return "every cell is missing"
    if column.present == 1 and column.rows > 1:
        return "only one cell has a value"
    if column.distinct == 1 and not column.missing:
        value = next(iter(column.counts), "")
        return f"constant: every cell is {_shown(value)}"
    return ""


def _number(column: ColumnProfile) -> Column | Dropped:
    others = column.present - column.numeric
    if column.whole and column.unique and not others:
        if _named_as_id(column.name):
            return Dropped(column.name, "an id: whole numbers that all differ, and it is named as one")
        if column.in_order and column.rows > FEW_ROWS:
            return Dropped(
                column.name, f"a row number: it counts {column.low:.0f}, {column.low + 1:.0f}, ... in the file's order"
            )
    if column.infinite == column.numeric:
        return Dropped(column.name, "no finite number: every one is infinite")
    because = "whole numbers" if column.whole else "numbers"
    if column.decimal == ",":
        because += " with a decimal comma"
    if others:
        such = f" such as {_shown(column.example)}" if column.example else ""
        because += f"; {_cells(others, 'other ')}{such} taken as missing"
    if column.infinite:
        because += f"; {_cells(column.infinite, 'infinite ')}"
    return Column(column.name, "number", because, decimal=column.decimal)


def _date(column: ColumnProfile) -> Column:
    because = "dates, ISO 8601" if column.date_format == "iso" else f"dates, {column.date_format}"
    return Column(
        column.name, "date", because + (f"; {column.date_note}" if column.date_note else ""), date_format=column.date_format
    )


def _words(column: ColumnProfile) -> Column | Dropped:
    share = column.distinct / column.present
    free = column.phrases >= 0.5
    if column.unique and not free:
        return Dropped(column.name, "an id: words that all differ")
    if share >= NEARLY_ALL and column.rows > FEW_ROWS:
        return Dropped(column.name, f"free text: {min(share, 1):.0%} of its cells differ")
    if column.unique:
        return Dropped(column.name, "free text: its cells all differ")
    about = f"about {column.distinct:,}" if column.many else f"{column.distinct:,}"
    because = f"words, {about} different"
    if column.numeric >= MIXED * column.present:
        share_read, other = column.numeric / column.present, _shown(column.example)
        because += f"; {share_read:.0%} of the cells are numbers, others such as {other} are not"
    return Column(column.name, "category", because)


def _named_as_id(name: str) -> bool:
    """Whether a name says that its column only tells rows apart, such as "PassengerId" or "Unnamed: 0"."""
    parts = {part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}
    return (
        bool(parts & _ID_PARTS)
        or (len(parts) == 1 and parts <= _ID_ALONE)
        or bool(_ID_NAME.fullmatch(re.sub(r"[\s_-]+", "_", name.strip()).lower()))
    )


def _cells(count: int, what: str) -> str:
    return f"{count:,} {what}cell{'s' if count > 1 else ''}"


def _shown(word: str) -> str:
    return repr(word if len(word) <= 30 else word[:27] + "...")
