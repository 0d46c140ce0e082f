"""Tables in memory: pandas frames (known by their shape, never imported), rows of dicts, dicts of columns, numpy arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from modelgpt_edge.data.raw import Cells, Chunk
from modelgpt_edge.data.stream import Source, chunk_rows, clean_names, no_rows
from modelgpt_edge.errors import InputError

NAME = "the table"
_CURE = "Give a path, a pandas DataFrame, a list of dicts, a dict of columns, or a 2-D numpy array."


def open_memory(data: object, names: Sequence[str] | None = None) -> Source:
    """A source over a table in memory; `names` are for arrays and lists of lists, whose columns are else "c0", "c1", ....

    InputError where it has no rows, columns of different lengths, or is nothing of the kind.
    """
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        return _open_frame(data)
    if isinstance(data, np.ndarray) and data.dtype.names:
        return open_columns({name: data[name] for name in data.dtype.names})
    if isinstance(data, np.ndarray):
        return _open_array(data, names)
    if isinstance(data, Mapping):
        return open_columns(data)
    if isinstance(data, (list, tuple)):
        if data and all(isinstance(row, (list, tuple, np.ndarray)) for row in data):
            return _open_array(_square(data), names)
        return open_records(data)
    raise InputError("this is not a table", where="data", seen=type(data).__name__, cure=_CURE)


def open_records(rows: Sequence[Any], name: str = NAME) -> Source:
    """A source over a list of dicts; a key that a row lacks is a missing cell."""
    odd = next((i for i, row in enumerate(rows) if not isinstance(row, Mapping)), None)
    if odd is not None:
        cure = 'Give every row as an object, such as {"age": 41, "label": "yes"}.'
        raise InputError("a row is not an object of named cells", where=f"{name}, row {odd + 1}", seen=rows[odd], cure=cure)
    if not rows:
        raise no_rows(name)
    keys = list(dict.fromkeys(key for row in rows for key in row))
    names, notes = clean_names(keys, name)

    def read(_: list[str]) -> Iterator[Chunk]:
        size = chunk_rows(len(names))
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            yield {name: [row.get(key) for row in part] for name, key in zip(names, keys)}

    return Source(name, names, notes, read)


def open_columns(columns: Mapping[Any, Any], name: str = NAME) -> Source:
    """A source over columns by name; a dict of single values is one row."""
    cells: dict[Any, Cells] = {key: _column(column) for key, column in columns.items()}
    if cells and all(column is None for column in cells.values()):
        return open_records([columns], name)
    single = next((key for key, column in cells.items() if column is None), None)
    if single is not None:
        cure = "Give every column as a list of cells."
        raise InputError("a column is not a list of cells", where=f"{name}, column {single!r}", seen=columns[single], cure=cure)
    names, notes = clean_names(list(cells), name)
    return _sliced(dict(zip(names, cells.values())), notes, name)


def _column(column: Any) -> Any:
    """A column's cells, or None where it is a single value."""
    if isinstance(column, (list, tuple)):
        return column
    if hasattr(column, "to_numpy"):
        column = column.to_numpy()
    return column if isinstance(column, np.ndarray) and column.ndim == 1 else None


def _sliced(cells: Mapping[str, Cells], notes: tuple[str, ...], name: str) -> Source:
    lengths = {key: len(column) for key, column in cells.items()}
    first, rows = next(iter(lengths.items()))
    other = next((key for key, length in lengths.items() if length != rows), None)
    if other is not None:
        seen = {first: rows, other: lengths[other]}
        raise InputError(
            "columns differ in length", where=name, seen=seen, cure="Give every column as many cells as there are rows."
        )
    if not rows:
        raise no_rows(name)

    def read(_: list[str]) -> Iterator[Chunk]:
        size = chunk_rows(len(cells))
        for start in range(0, rows, size):
            yield {key: column[start : start + size] for key, column in cells.items()}

    return Source(name, tuple(cells), notes, read)


def _open_frame(frame: Any) -> Source:
    """A source over a pandas DataFrame; its index is not a column."""
    names, notes = clean_names([c if c == c else "" for c in frame.columns], NAME)
    return _sliced({name: frame.iloc[:, i].to_numpy() for i, name in enumerate(names)}, notes, NAME)


def _open_array(array: np.ndarray[Any, Any], names: Sequence[str] | None) -> Source:
    if array.ndim != 2:
        cure = "Give rows x columns: for one row array[None, :], for one column array[:, None]."
        raise InputError("the array is not two-dimensional", where=NAME, seen=array.shape, cure=cure)
    if names is not None and len(names) != array.shape[1]:
        cure = f"Give {array.shape[1]} names."
        raise InputError("the names do not match the array's columns", where="names", seen=list(names), cure=cure)
    clean, notes = clean_names([f"c{i}" for i in range(array.shape[1])] if names is None else names, NAME)
    return _sliced({name: array[:, i] for i, name in enumerate(clean)}, notes, NAME)


def _square(rows: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Rows of equal length as an object array, so that every cell keeps its type."""
    width = len(rows[0])
    odd = next((i for i, row in enumerate(rows) if len(row) != width), None)
    if odd is not None:
        cure = f"Give every row {width} cells, as the first has."
        raise InputError("rows differ in length", where=f"{NAME}, row {odd + 1}", seen=f"{len(rows[odd])} cells", cure=cure)
    table = np.empty((len(rows), width), object)
    for i, row in enumerate(rows):
        table[i, :] = list(row)
    return table
