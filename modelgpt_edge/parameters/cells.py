"""Encoded columns seen as cells: one short vector of fixed size for every row and raw column.

A cell is what a generator that never saw the table's columns can read. numpy alone, so that a build may import this.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from modelgpt_edge.child import Encoder, Floats, Ints

# Slots of a cell. A number column fills the first three, a category column those from FIRST_CATEGORY on.
VALUE, TWIN, FLAG, NAMED, FIRST_CATEGORY = 0, 1, 2, 3, 4
CATEGORIES = 8
OTHER = FIRST_CATEGORY + CATEGORIES
SLOTS = OTHER + 1


def cells(encoder: Encoder, encoded: Floats, named: Collection[str] = ()) -> Floats:
    """Cells (N, C + S, 13) of encoded rows (N, D): number columns first, then word columns, as the encoder names them.

    A number: the standardised value, its rank-normal twin (the value again where the column has none), the flag of a missing
    cell. A category: one-hot over the eight commonest words, and one slot for all other known ones; unknown words are zeros.
    Waves of dates are left out. Every cell tells whether its column is one of those that the requirement names.
    """
    rows, numbers, waves = len(encoded), len(encoder.numbers), len(encoder.wave_column)
    table = np.zeros((rows, numbers + len(encoder.words), SLOTS), np.float32)
    values = encoded[:, :numbers]
    table[:, :numbers, VALUE] = values
    table[:, :numbers, TWIN] = values
    start = numbers + waves
    _place(table[:, :, TWIN], encoded[:, start:], encoder.rank_column, numbers)
    start += len(encoder.rank_column)
    _place(table[:, :, FLAG], encoded[:, start:], encoder.flag_column, numbers)
    start += len(encoder.flag_column)
    for column, vocabulary in enumerate(encoder.vocabularies, start=numbers):
        words = encoded[:, start : start + len(vocabulary)]
        common = words[:, :CATEGORIES]
        table[:, column, FIRST_CATEGORY : FIRST_CATEGORY + common.shape[1]] = common
        table[:, column, OTHER] = words[:, CATEGORIES:].sum(1)
        start += len(vocabulary)
    table[:, [c in named for c in (*encoder.numbers, *encoder.words)], NAMED] = 1
    return table


def _place(slot: Floats, encoded: Floats, owners: Ints, numbers: int) -> None:
    """Put encoded columns into a slot (N, C + S) of the number columns that own them; waves own none."""
    for place, owner in enumerate(owners):
        if owner < numbers:
            slot[:, owner] = encoded[:, place]
