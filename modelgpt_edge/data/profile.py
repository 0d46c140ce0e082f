"""One pass over a table: what each column holds, a uniform sample of rows to fit on, and another to judge by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.data.column_profile import ColumnProfile
from modelgpt_edge.data.raw import Chunk
from modelgpt_edge.data.sampling import RowSample, row_keys
from modelgpt_edge.data.stream import Source
from modelgpt_edge.data.tally import ColumnTally

__all__ = ["ColumnProfile", "Profile", "profile"]

# Raw cells held in memory for a sample, and distinct words counted over all columns: reached by very wide tables only.
SAMPLE_CELLS = 6_000_000
COUNTED_WORDS = 2_000_000
MOST_WORDS, LEAST_WORDS = 10_000, 256


@dataclass(frozen=True)
class Profile:
    """What one pass over a table tells.

    Attributes:
        rows: rows of the table.
        columns: what each column holds.
        sample: raw cells of a uniform sample of rows, in the table's order; of every row where nothing is held out.
        held: raw cells of other rows, also uniform, that no fit may see; None where the table is small.
        notes: what the user should know about the file.
        seed: seed of the samples.
        held_below: rows whose key is below this are held out; 0 where none are.
    """

    rows: int
    columns: tuple[ColumnProfile, ...]
    sample: Chunk
    held: Chunk | None
    notes: tuple[str, ...]
    seed: int
    held_below: int = 0

    def column(self, name: str) -> ColumnProfile:
        """The profile of the column called `name`; KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def is_held(self, start: int, count: int) -> NDArray[np.bool_]:
        """Which of the `count` rows from place `start` on are held out, (count,)."""
        return row_keys(self.seed, start, count) < np.uint64(self.held_below)


def profile(source: Source, seed: int, sample_rows: int = 20_000, held_rows: int = 5_000) -> Profile:
    """Read a table through once.

    Where it has more than `sample_rows + held_rows` rows, that many are drawn, in two sets without a common row.
    A very wide table draws fewer, to keep memory flat. InputError where the table cannot be read.
    """
    width = len(source.columns)
    fits = min(1.0, SAMPLE_CELLS / (width * (sample_rows + held_rows)))
    sampled, held = max(1, int(fits * sample_rows)), max(1, int(fits * held_rows))
    words = int(np.clip(COUNTED_WORDS // width, LEAST_WORDS, MOST_WORDS))
    tallies = {name: ColumnTally(name, words, source.decimal) for name in source.columns}
    rows = RowSample(sampled + held, seed)
    for chunk in source.chunks():
        for name, tally in tallies.items():
            tally.add(chunk[name])
        rows.add(chunk)
    small = rows.rows <= sampled + held
    held_cells, held_below = (None, 0) if small else rows.between(0, held)
    sample, _ = rows.between(0 if small else held, rows.rows if small else held + sampled)
    columns = tuple(tally.finish(sample[name]) for name, tally in tallies.items())
    return Profile(rows.rows, columns, sample, held_cells, source.notes, seed, held_below)
