"""What the columns of a table are: the facts that reading, generating, compiling and predicting share.

Only names and types live here; no rows, no weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

ColumnType = Literal["number", "category", "date", "text", "image"]
Kind = Literal["classification", "regression"]


@dataclass(frozen=True)
class Column:
    """One input column of the model.

    Attributes:
        name: header of the column, as the file spells it.
        type: how its cells are read: ``number``, ``category`` (words), ``date`` (days since 1970), or as it is: ``text``
            or ``image``.
        because: the rule that gave it this type, for the report.
        decimal: decimal mark of a number column, ``"."`` or ``","``.
        date_format: ``strptime`` pattern of a date column, or ``"iso"``.
        named: whether the task's text names it as telling.
    """

    name: str
    type: ColumnType
    because: str = ""
    decimal: str = "."
    date_format: str = ""
    named: bool = False


@dataclass(frozen=True)
class Dropped:
    """A column of the file that the model does not use, and why."""

    name: str
    because: str


@dataclass(frozen=True)
class Schema:
    """The table a model is made for.

    Attributes:
        columns: inputs of the model, in the file's order.
        label: name of the label column and how its cells are read.
        label_because: how the label was found.
        kind: ``classification`` or ``regression``.
        kind_because: the rule that told the two apart.
        classes: class names in the order of the probabilities; empty for regression.
        dropped: columns that are not used, with the reason.
    """

    columns: tuple[Column, ...]
    label: Column
    label_because: str
    kind: Kind
    kind_because: str
    classes: tuple[str, ...] = ()
    dropped: tuple[Dropped, ...] = field(default=())

    @property
    def numbers(self) -> tuple[Column, ...]:
        """Columns that reach the model as float32: numbers and dates."""
        return tuple(c for c in self.columns if c.type != "category")

    @property
    def words(self) -> tuple[Column, ...]:
        """Columns that reach the model as strings."""
        return tuple(c for c in self.columns if c.type == "category")

    @property
    def named(self) -> tuple[str, ...]:
        """Names of the columns that the task's text names as telling."""
        return tuple(c.name for c in self.columns if c.named)
