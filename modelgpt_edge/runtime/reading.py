"""Rows given to predict: raw cells to a model's inputs, and what the user should know of them.

A column is read as the model's schema says, whatever the file makes of it, so that numbers that come as words are numbers
again, and the other way round. Only the decimal mark is the file's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.data.cells import Cells, is_missing, read_column, read_words
from modelgpt_edge.data.stream import Source
from modelgpt_edge.errors import InputError, nearest
from modelgpt_edge.schema import Column

SHOWN = 5


class Reader:
    """Reads the chunks of one table for a model, and counts what is odd in them.

    Args:
        numbers, words: the model's columns, in the order of its inputs.
        places: position of every known word, for each of the `words`.
    """

    def __init__(
        self, numbers: Sequence[Column], words: Sequence[Column], places: Sequence[Mapping[str, int]], source: Source
    ) -> None:
        self._numbers, self._words, self._places, self._source = numbers, words, places, source
        self._read: dict[str, Column] = {}  # number columns whose decimal mark was decided anew
        self._missing: dict[str, int] = {}
        self._unread: dict[str, tuple[int, object]] = {}
        self._unknown: dict[str, tuple[int, object]] = {}
        self._check()

    def _check(self) -> None:
        present = self._source.columns
        absent = [c.name for c in (*self._numbers, *self._words) if c.name not in set(present)]
        if not absent:
            return
        others = ", ".join(map(repr, absent[1:SHOWN]))
        more = f" and {len(absent) - 1} more ({others}{', ...' if len(absent) > SHOWN else ''})" if others else ""
        raise InputError(
            f"the model needs column {absent[0]!r}{more}, and the table doesn't have it",
            where=self._source.name,
            seen=list(present[:20]),
            cure=nearest(absent[0], present),
        )

    def read(self, cells: Mapping[str, Cells]) -> tuple[Floats, Ints]:
        """Numbers (N, C), NaN where missing, and word positions (N, S), -1 where missing or unknown, of raw cells."""
        rows = len(next(iter(cells.values())))
        numbers = np.empty((rows, len(self._numbers)), np.float32)
        for c, column in enumerate(self._numbers):
            numbers[:, c] = self._read_numbers(cells[column.name], column)
        codes = np.empty((rows, len(self._words)), np.int32)
        for s, (column, places) in enumerate(zip(self._words, self._places)):
            codes[:, s] = self._read_codes(cells[column.name], column, places)
        return numbers, codes

    def _read_numbers(self, cells: Cells, column: Column) -> Floats:
        read = self._read.get(column.name, column)
        values: Floats = read_column(cells, read)
        gaps = np.flatnonzero(np.isnan(values))
        unread = [cells[i] for i in gaps if not is_missing(cells[i])]
        likely = "," if self._source.decimal == "," else column.decimal
        if column.type == "number" and column.name not in self._read and (unread or likely != column.decimal):
            self._read[column.name] = _marked(cells, column, values, likely)
            return self._read_numbers(cells, column)
        self._count(self._unread, column, unread)
        self._missing[column.name] = self._missing.get(column.name, 0) + len(gaps) - len(unread)
        return values

    def _read_codes(self, cells: Cells, column: Column, places: Mapping[str, int]) -> Ints:
        words: NDArray[np.object_] = read_words(cells)
        codes = np.array([places.get(word, -1) for word in words], np.int32)
        strange = [words[i] for i in np.flatnonzero(codes < 0)]
        unknown = [word for word in strange if word]
        self._count(self._unknown, column, unknown)
        self._missing[column.name] = self._missing.get(column.name, 0) + len(strange) - len(unknown)
        return codes

    def _count(self, counts: dict[str, tuple[int, object]], column: Column, cells: Sequence[object]) -> None:
        if cells:
            count, example = counts.get(column.name, (0, cells[0]))
            counts[column.name] = count + len(cells), example

    def notes(self) -> tuple[str, ...]:
        """What was odd in the chunks read so far, a sentence each."""
        used = {c.name for c in (*self._numbers, *self._words)}
        unused = [name for name in self._source.columns if name not in used]
        marks = [c.name for c in self._numbers if self._read.get(c.name, c).decimal != c.decimal]
        missing = {name: count for name, count in self._missing.items() if count}
        notes = []
        if unused:
            notes.append(f"not used: {_listed([repr(name) for name in unused])}")
        if marks:
            kind = "commas" if self._read[marks[0]].decimal == "," else "points"
            names = _listed([repr(name) for name in marks])
            notes.append(f"read with decimal {kind}, unlike the table that the model was built from: {names}")
        if missing:
            shown = _listed([f"{name!r} ({count:,})" for name, count in missing.items()])
            notes.append(f"missing cells in {shown}: a number takes the column's median, a word counts as none")
        if self._unread:
            notes.append(f"cells that are no numbers in {_examples(self._unread)}: taken as missing")
        if self._unknown:
            notes.append(f"words that the model doesn't know in {_examples(self._unknown)}: each counts as no word")
        return tuple(notes)


def _marked(cells: Cells, column: Column, values: Floats, likely: str) -> Column:
    """The column with the decimal mark that makes more of its cells numbers; where both do, with the likelier one."""
    other = "." if column.decimal == "," else ","
    if not any(isinstance(cell, str) and other in cell for cell in cells):
        return column
    twin = replace(column, decimal=other)
    own, others = np.isfinite(values).sum(), np.isfinite(read_column(cells, twin)).sum()
    return twin if (others, likely == other) > (own, likely == column.decimal) else column


def _examples(counts: Mapping[str, tuple[int, object]]) -> str:
    return _listed([f"{name!r} ({count:,}, such as {str(example)[:30]!r})" for name, (count, example) in counts.items()])


def _listed(items: Sequence[str]) -> str:
    return ", ".join(items[:SHOWN]) + (f" and {len(items) - SHOWN} more" if len(items) > SHOWN else "")
