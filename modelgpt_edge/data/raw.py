"""Raw cells and which of them are missing: the tokens pandas users expect, and the empty values of Python, numpy and pandas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

# A column of raw cells: a list of strings from a file, or what Parquet or an in-memory table holds.
Cells: TypeAlias = Sequence[object] | NDArray[Any]
Chunk: TypeAlias = dict[str, Cells]

# Compared after strip and casefold. A lone "-" is not here: it is a class name in real tables ("+" against "-").
MISSING = frozenset(
    {"", "na", "n/a", "n.a.", "nan", "-nan", "nat", "null", "none", "nil", "?", "<na>", "<null>", "<none>", "\\n"}
    | {"#na", "#n/a", "#n/a n/a", "#null!", "#value!", "#ref!", "#div/0!", "#num!"}
    | {"1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"}
)


def is_missing(cell: object) -> bool:
    """Whether a raw cell holds no value: None, NaN, NaT, pandas' NA or a token of `MISSING` in any case."""
    if cell is None:
        return True
    if isinstance(cell, str):
        return cell.strip().casefold() in MISSING
    if isinstance(cell, bytes):
        return is_missing(cell.decode("utf-8", "replace"))
    if isinstance(cell, (list, dict, tuple, np.ndarray)):
        return False
    if type(cell).__name__ in ("NAType", "NaTType"):  # pandas' own, known by name so that pandas stays out
        return True
    try:
        return bool(cell != cell)  # NaN, Decimal("NaN") and numpy's NaT differ from themselves
    except (TypeError, ValueError, ArithmeticError):
        return False


def listed(cells: Cells) -> Sequence[Any]:
    """The cells as a sequence of Python objects: numpy's object and string arrays become lists."""
    return cells.tolist() if isinstance(cells, np.ndarray) else cells
