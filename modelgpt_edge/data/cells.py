"""What a raw cell means: the one door through which strings and objects become numbers, words and days.

Building and predicting both read through here, on the device too, so only numpy and the standard library come in.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from modelgpt_edge.data.dates import find_date_format, read_days
from modelgpt_edge.data.numbers import read_floats, read_numbers
from modelgpt_edge.data.raw import MISSING, Cells, Chunk, is_missing
from modelgpt_edge.data.words import read_words
from modelgpt_edge.schema import Column

__all__ = [
    "MISSING",
    "Cells",
    "Chunk",
    "find_date_format",
    "is_missing",
    "read_column",
    "read_days",
    "read_floats",
    "read_numbers",
    "read_texts",
    "read_words",
]


def read_column(cells: Cells, column: Column) -> NDArray[Any]:
    """Read (N,) raw cells by the column's type: float32 numbers or days (NaN where missing), or words ("" where missing)."""
    if column.type == "number":
        return read_numbers(cells, column.decimal)
    if column.type == "date":
        return read_days(cells, column.date_format)
    return read_words(cells)


def read_texts(cells: Cells) -> list[str]:
    """Read (N,) raw cells as texts, just as they are: "none" is a word here; "" where there is no cell."""
    return ["" if is_missing(cell) and not isinstance(cell, (str, bytes)) else _text(cell) for cell in cells]


def _text(cell: object) -> str:
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)
