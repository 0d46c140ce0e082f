"""Typed rows: raw cells read by a schema, as a sample in memory and as a stream of every row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.data.cells import Cells, Chunk, read_column, read_days, read_floats, read_words
from modelgpt_edge.data.profile import Profile
from modelgpt_edge.data.stream import Source
from modelgpt_edge.errors import InputError, nearest
from modelgpt_edge.schema import Schema

Labels = NDArray[np.int32] | NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """N typed rows.

    Attributes:
        numbers: number and date columns by name, (N,) float32, NaN where missing; dates as days since 1970.
        words: category columns by name, (N,) strings, "" where missing.
        labels: (N,) int32 places in the schema's classes, -1 where unknown; for regression float64, NaN where unknown.
    """

    numbers: dict[str, NDArray[np.float32]]
    words: dict[str, NDArray[np.object_]]
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Rows:
        """The rows at `index`: places, a mask or a slice."""
        return Rows(
            {name: column[index] for name, column in self.numbers.items()},
            {name: column[index] for name, column in self.words.items()},
            self.labels[index],
        )

    @staticmethod
    def join(parts: Sequence[Rows]) -> Rows:
        """Rows one after the other, of at least one part."""
        first = parts[0]
        return Rows(
            {name: np.concatenate([p.numbers[name] for p in parts]) for name in first.numbers},
            {name: np.concatenate([p.words[name] for p in parts]) for name in first.words},
            np.concatenate([p.labels for p in parts]),
        )

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Which rows have a known label, (N,)."""
        return np.isfinite(self.labels) if self.labels.dtype.kind == "f" else self.labels >= 0


@dataclass(frozen=True)
class Table:
    """A table read by a schema, of rows that have a label.

    Attributes:
        schema: how it is read.
        rows: how many rows have a label.
        sample: a uniform sample of them, in the table's order; all of them where nothing is held out.
        held: other rows, also uniform, that no fit may see; None where the table is small.
        notes: what the user should know, such as how many rows have no label.
    """

    schema: Schema
    rows: int
    sample: Rows
    held: Rows | None
    notes: tuple[str, ...]
    _source: Source
    _profile: Profile

    def chunks(self) -> Iterator[Rows]:
        """Every labelled row but the held ones, once, in the table's order."""
        if self.held is None:
            yield self.sample
            return
        start = 0
        for chunk in self._source.chunks():
            rows = read_rows(chunk, self.schema)
            keep = rows.labelled & ~self._profile.is_held(start, len(rows))
            start += len(rows)
            yield rows.take(keep)


def read_rows(cells: Mapping[str, Cells], schema: Schema, labelled: bool = True) -> Rows:
    """Read raw cells by a schema; columns may stand in any order, and others beside them.

    Without `labelled` the label column may be absent and every label is unknown. InputError where a column is absent.
    """
    needed = [c.name for c in schema.columns] + ([schema.label.name] if labelled else [])
    absent = [name for name in needed if name not in cells]
    if absent:
        more = f" (and {len(absent) - 1} more: {', '.join(map(repr, absent[1:5]))})" if len(absent) > 1 else ""
        raise InputError(
            f"the model needs column {absent[0]!r}{more}, and the table does not have it",
            where="columns",
            seen=list(cells),
            cure=nearest(absent[0], set(cells) - set(needed) or cells),
        )
    numbers = {c.name: read_column(cells[c.name], c) for c in schema.numbers}
    words = {c.name: read_column(cells[c.name], c) for c in schema.words}
    if labelled:
        return Rows(numbers, words, read_labels(cells[schema.label.name], schema))
    count = len(next(iter(cells.values()))) if cells else 0
    return Rows(numbers, words, np.full(count, -1, np.int32) if schema.classes else np.full(count, np.nan))


def read_labels(cells: Cells, schema: Schema) -> Labels:
    """Read (N,) raw label cells: places in the schema's classes, -1 where unknown, or values, NaN where unknown."""
    if schema.kind == "classification":
        places = {name: place for place, name in enumerate(schema.classes)}
        return np.array([places.get(word, -1) for word in read_words(cells).tolist()], np.int32)
    if schema.label.type == "date":
        return read_days(cells, schema.label.date_format).astype(np.float64)
    values = read_floats(cells, schema.label.decimal)
    return np.where(np.isfinite(values), values, np.nan)


def open_table(source: Source, profile: Profile, schema: Schema) -> Table:
    """A table over a source that was profiled; rows without a label are left out, with a note.

    InputError where no row has a label.
    """
    sample = _labelled(profile.sample, schema)
    held = None if profile.held is None else _labelled(profile.held, schema)
    rows = len(sample) if held is None else _count_labels(profile, schema)
    if not rows or not len(sample):
        cure = "Give rows whose label is known."
        raise InputError("no row has a label", where=f"column {schema.label.name!r}", cure=cure)
    without = profile.rows - rows
    notes = (f"{without:,} of {profile.rows:,} rows have no usable label and are left out",) if without else ()
    return Table(schema, rows, sample, held, notes, source, profile)


def _labelled(cells: Chunk, schema: Schema) -> Rows:
    rows = read_rows(cells, schema)
    return rows if rows.labelled.all() else rows.take(rows.labelled)


def _count_labels(profile: Profile, schema: Schema) -> int:
    """Rows with a known label, from what the profile counted."""
    label = profile.column(schema.label.name)
    if schema.kind == "classification":
        return sum(label.counts.get(name, 0) for name in schema.classes)
    return label.present if schema.label.type == "date" else label.numeric + label.booleans - label.infinite
