"""Raw cells to canonical words: the same value spelled by different readers is one word."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from datetime import date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.data.raw import MISSING, Cells, is_missing, listed

BOOLEANS = frozenset({"true", "false"})
_INFINITE = {"inf": "inf", "+inf": "inf", "-inf": "-inf", "infinity": "inf", "+infinity": "inf", "-infinity": "-inf"}
# No leading zeros: "007" is a name.
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# At most 15 digits, as repr() would write them: most decimals are canonical as they stand.
_SHORTEST = re.compile(r"-?(?:0\.(?!0000)[0-9]{0,13}|[1-9][0-9]{0,5}\.[0-9]{0,8})[1-9]")
_BEGINS = tuple("+-.0123456789")


def read_words(cells: Cells) -> NDArray[np.object_]:
    """Read (N,) raw cells as words, "" where missing; never None.

    Blanks around a word go, text is NFC, booleans are "true" and "false", and a number is spelled one way:
    3, 3.0, "3" and "3.0" are "3", while "007" stays. Reading a word again changes nothing.
    """
    if isinstance(cells, np.ndarray) and cells.dtype.kind != "O":
        values, places = np.unique(cells, return_inverse=True)
        return _array([_word(value) for value in values])[places.reshape(-1)]
    column = listed(cells)
    types = set(map(type, column)) - {type(None)}
    try:
        if len(types) <= 1:
            cache: dict[object, str] = {cell: _word(cell) for cell in set(column)}
            return _array([cache[cell] for cell in column])
        # True, 1 and 1.0 are equal as keys, so the type goes along.
        typed: dict[object, str] = {}
        words = []
        for cell in column:
            key = (type(cell), cell)
            if (word := typed.get(key)) is None:
                word = typed[key] = _word(cell)
            words.append(word)
        return _array(words)
    except TypeError:  # a cell that cannot be a key, such as a list
        return _array([_word(cell) for cell in column])


def _array(words: list[str]) -> NDArray[np.object_]:
    out = np.empty(len(words), object)
    out[:] = words
    return out


def _word(cell: Any) -> str:
    """The canonical word of one raw cell."""
    if isinstance(cell, str):
        return _text(cell)
    if is_missing(cell):
        return ""
    if isinstance(cell, (bool, np.bool_)):
        return "true" if cell else "false"
    if isinstance(cell, (int, np.integer)):
        return str(int(cell))
    if isinstance(cell, np.floating):
        return _float(float(str(cell)))  # by its own digits: float32's 0.1 is "0.1"
    if isinstance(cell, float):
        return _float(cell)
    if isinstance(cell, bytes):
        return _text(cell.decode("utf-8", "replace"))
    if isinstance(cell, np.datetime64):
        return _word(cell.astype("datetime64[us]").item())
    if isinstance(cell, datetime):
        return _text(cell.isoformat(" ").removesuffix(" 00:00:00"))
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, (list, tuple, dict)):
        return _text(json.dumps(cell, ensure_ascii=False, default=str))
    return _text(str(cell))


def _text(cell: str) -> str:
    text = cell.strip()
    if not text.isascii():
        text = level(text)
    if text.startswith(_BEGINS):
        if (text.isdigit() and text[0] != "0") or _SHORTEST.fullmatch(text):
            return text
        if _NUMBER.fullmatch(text):
            return _canonical(text)
    folded = text.casefold()
    if folded in MISSING:
        return ""
    if folded in BOOLEANS:
        return folded
    return _INFINITE.get(folded, text)


def level(text: str) -> str:
    """Text in NFC without blanks around it; halves of a surrogate pair, which JSON can spell but no file can hold, go."""
    return unicodedata.normalize("NFC", text.encode("utf-8", "ignore").decode()).strip()


def _canonical(number: str) -> str:
    """One spelling for a number that `_NUMBER` matches; whole ones keep every digit."""
    if number.lstrip("+-").isdigit():
        return str(int(number)) if len(number) < 400 else number
    value = float(number)
    return _float(value) if math.isfinite(value) else number


def _float(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e22 else repr(value)
