"""What one pass over a column tells: the facts from which its type and the kind of a task are found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ColumnProfile:
    """What a column holds.

    Attributes:
        name: the column's name.
        rows: cells in all.
        missing: cells without a value.
        numeric: cells that read as numbers; booleans are not among them.
        placeholders: cells such as "-" or "." that stand for a missing value only if the rest are numbers or dates.
        whole: whether every number is whole.
        low: smallest finite number, NaN where there is none.
        high: greatest finite number, NaN where there is none.
        infinite: infinite numbers.
        booleans: cells that are booleans.
        distinct: different canonical words, estimated where there are `many`.
        many: whether there are too many to count.
        counts: cells a word, commonest first; empty where there are `many`.
        unique: whether no value comes twice; where there are `many`, judged by 10,000 of the values.
        in_order: whether the cells count 0, 1, 2, ... or 1, 2, 3, ... in the table's order.
        decimal: decimal mark under which most cells read as numbers.
        date_format: pattern under which the cells are dates, "" where there is none.
        date_note: doubt about that pattern, if any.
        longest: characters of the longest word; where there are `many`, numbers do not count.
        phrases: share of the words that hold a blank.
        example: a cell that does not read as a number, "" where all do.
    """

    name: str
    rows: int
    missing: int
    numeric: int
    placeholders: int
    whole: bool
    low: float
    high: float
    infinite: int
    booleans: int
    distinct: int
    many: bool
    counts: dict[str, int]
    unique: bool
    in_order: bool
    decimal: str
    date_format: str
    date_note: str
    longest: int
    phrases: float
    example: str

    @property
    def present(self) -> int:
        """Cells with a value."""
        return self.rows - self.missing

    @property
    def boolean(self) -> bool:
        """Whether every cell with a value is a boolean."""
        return 0 < self.present == self.booleans
