"""Raw cells to numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.data.decimals import read_decimals
from modelgpt_edge.data.raw import MISSING, Cells, listed

# Spellings of a missing cell, common enough to be looked up before float() sees them.
_QUICK: dict[str, str] = {spelling: "nan" for token in MISSING for spelling in (token, token.upper(), token.capitalize())}
_MANY = 1000  # cells from which numpy is quicker than float() cell by cell
_BOOLEANS = {"true": 1.0, "false": 0.0}
_BEGINS = frozenset("+-.,0123456789iInN")  # what float() may begin with; "i" and "n" for inf and nan
_UNITS = frozenset("$€£¥₹%")
_GROUPED = {
    mark: re.compile(
        rf"[+-]?[1-9][0-9]{{0,2}}([{group}'\u2019 \u00a0\u2009\u202f])[0-9]{{3}}(?:\1[0-9]{{3}})*(?:\{mark}[0-9]*)?"
    )
    for mark, group in ((".", ","), (",", "."))
}


def read_numbers(cells: Cells, decimal: str = ".") -> NDArray[np.float32]:
    """Read (N,) raw cells as float32 numbers, NaN where missing or unreadable.

    Reads thousands ("1,234.5"; "1.234,5" with `decimal` ","), "inf", "true" and "false"; what overflows becomes infinite.
    """
    with np.errstate(over="ignore"):
        return read_floats(cells, decimal).astype(np.float32)


def read_floats(cells: Cells, decimal: str = ".") -> NDArray[np.float64]:
    """As `read_numbers` in float64: for labels, and to tell whole numbers apart."""
    if isinstance(cells, np.ndarray):
        if cells.dtype.kind in "biuf":
            return cells.astype(np.float64)
        if cells.dtype.kind not in "OUS":
            return np.full(len(cells), np.nan)
    column = listed(cells)
    if (read := _read_plain(column, decimal)) is not None:
        return read
    try:
        parsed: dict[object, float] = {cell: _number(cell, decimal) for cell in set(column)}
    except TypeError:  # a cell that cannot be a key, such as a list
        return np.fromiter((_number(cell, decimal) for cell in column), np.float64, len(column))
    return np.fromiter(map(parsed.__getitem__, column), np.float64, len(column))


def _read_plain(column: Sequence[Any], decimal: str) -> NDArray[np.float64] | None:
    """The whole column by float() alone, or None where a cell needs `parse_number`."""
    try:
        text = "\n".join(column)
    except TypeError:
        types = set(map(type, column)) - {type(None)}
        if types <= {float, int, bool}:
            return _floats([math.nan if cell is None else cell for cell in column])
        return _read_plain(["" if cell is None else cell for cell in column], decimal) if types == {str} else None
    if "_" in text:  # float() would read "1_000"
        return None
    if len(column) >= _MANY and (read := read_decimals(text, len(column), decimal)) is not None:
        return read
    if decimal == ",":
        if "." in text:
            return None
        if "," in text:
            plain = text.replace(",", ".").split("\n")
            if len(plain) != len(column):
                return None
            column = plain
    read = _floats(column)
    return _floats([_QUICK.get(cell, cell) for cell in column]) if read is None else read


def _floats(column: Sequence[Any]) -> NDArray[np.float64] | None:
    try:
        return np.fromiter(map(float, column), np.float64, len(column))
    except (ValueError, OverflowError):
        return None


def _number(cell: Any, decimal: str) -> float:
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", "replace")
    if isinstance(cell, str):
        return parse_number(cell, decimal)
    if isinstance(cell, (np.ndarray, np.datetime64, np.timedelta64)):
        return math.nan
    try:
        return float(cell)
    except OverflowError:
        return math.inf if cell > 0 else -math.inf
    except (TypeError, ValueError):
        return math.nan


def parse_number(cell: str, decimal: str = ".") -> float:
    """One string as a number, NaN where it is missing or is not a number; one sign of a currency or per cent is let go."""
    text = cell.strip().replace("\u2212", "-")
    if text[-1:] in _UNITS or text[:1] in _UNITS or text[1:2] in _UNITS:
        text = _without_unit(text)
    if not text or "_" in text:
        return math.nan
    if text[0] not in _BEGINS and not text[0].isdigit():
        return _BOOLEANS.get(text.casefold(), math.nan)
    if decimal == "." or "." not in text:
        try:
            return float(text.replace(decimal, "."))
        except ValueError:
            pass
    grouped = _GROUPED[decimal].fullmatch(text)
    return float(text.replace(grouped[1], "").replace(decimal, ".")) if grouped else math.nan


def _without_unit(text: str) -> str:
    """The text without the one unit that it begins or ends with: "$5", "-$5", "$-5", "5 €" and "5 %"."""
    if text[-1] in _UNITS:
        return text[:-1].rstrip()
    minus = "-" if text[0] == "-" else ""
    return minus + text[len(minus) + 1 :].lstrip() if text[len(minus)] in _UNITS else text
