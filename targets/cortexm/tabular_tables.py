"""What both precisions of the tabular template share: how the scratch is laid out, the encoder's tables, the lists of taps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from modelgpt_edge.errors import InputError
from modelgpt_edge.targets.cortexm.layout import Layout, Taps
from modelgpt_edge.targets.cortexm.literals import Array, Table
from modelgpt_edge.targets.cortexm.quantise import Doubles, pad, round_up

TILE = 4


@dataclass(frozen=True)
class Shape:
    """Lengths in the scratch, padded: one-hot columns, columns always on, then hidden units, the dense ones first."""

    one_hots: int
    always: int
    dense: int
    hidden: int

    @staticmethod
    def of(layout: Layout, multiple: int) -> Shape:
        """Each part a multiple of so many values; one column at least is always on."""
        dense = round_up(layout.dense_bias.size, TILE)
        hidden = dense + layout.sparse.order.size + layout.leaf.order.size
        always = round_up(max(1, layout.always), multiple)
        return Shape(round_up(layout.one_hots, multiple), always, dense, round_up(hidden, multiple))

    @property
    def values(self) -> int:
        """Values in the scratch."""
        return self.one_hots + self.always + self.hidden

    def head(self, layout: Layout) -> Doubles:
        """Head weights (always + hidden, L), zero where the scratch is padded."""
        columns, dense, rest = np.split(layout.head_weight, np.cumsum([layout.always, layout.dense_bias.size]))
        parts = (pad(columns, 0, self.always), pad(dense, 0, self.dense), pad(rest, 0, self.hidden - self.dense))
        return np.concatenate(parts)

    def sizes(self, layout: Layout) -> dict[str, int]:
        """Constants that the code is told."""
        encoder, taps = layout.encoder, len(layout.sparse.units)
        return {
            "NUMBERS": len(encoder.numbers),
            "WAVES": len(encoder.wave_column),
            "RANKS": len(layout.knots),
            "FLAGS": len(encoder.flag_column),
            "WORDS": len(encoder.words),
            "ONE_HOTS": self.one_hots,
            "ALWAYS": self.always,
            "DENSE": self.dense,
            "SPARSE_TAPS": taps,
            "UNITS": self.hidden,
            "SCORES": layout.head_bias.size,
        }

    def flags(self, layout: Layout) -> set[str]:
        """Which parts of the template this child needs."""
        tanh = bool(self.hidden)
        found: Mapping[str, object] = {
            "numbers": layout.encoder.numbers,
            "waves": layout.encoder.wave_column.size,
            "ranks": layout.knots,
            "flags": layout.encoder.flag_column.size,
            "words": layout.one_hots,
            "bare": not layout.always,
            "padded": self.always > max(1, layout.always),
            "dense": self.dense,
            "sparse": layout.sparse.order.size,
            "leaf": layout.leaf.order.size,
            "odd": self.hidden > self.dense + layout.sparse.order.size + layout.leaf.order.size,
            "tanh": tanh,
            "exponential": tanh or layout.classes,
            "classes": layout.classes,
            "two": len(layout.classes) == 2,
        }
        return {name for name, there in found.items() if there}


def front_tables(layout: Layout) -> list[Table]:
    """The encoder's tables; what stays float32 in both precisions, for raw numbers come in all sizes."""
    encoder = layout.encoder
    wide, knots = len(encoder.median), np.concatenate([*layout.knots, np.zeros(0)])
    starts = np.cumsum([0, *map(len, layout.knots)]) if layout.knots else np.zeros(0)
    return [
        place_table("wave_column", encoder.wave_column, wide),
        *float_tables(wave_frequency=encoder.wave_frequency, wave_phase=encoder.wave_phase),
        *float_tables(median=encoder.median, center=encoder.center, scale=encoder.scale),
        place_table("rank_column", encoder.rank_column, wide),
        place_table("rank_start", starts, len(knots) + 1),
        *float_tables(rank_knots=knots),
        place_table("flag_column", encoder.flag_column, wide),
        place_table("one_hot_start", layout.one_hot_start if layout.one_hots else np.zeros(0), layout.one_hots + 1),
    ]


def taps_tables(name: str, taps: Taps, layout: Layout, shape: Shape) -> list[Table]:
    """Counts of units by their taps, and each tap's column as it lies in the scratch: one-hot columns first."""
    column = np.where(taps.column < layout.always, taps.column + shape.one_hots, taps.column - layout.always)
    return [
        Table("uint16_t", f"{name}_count", np.array(taps.units if taps.order.size else ())),
        place_table(f"{name}_column", column, shape.one_hots + shape.always),
    ]


def float_tables(**arrays: Array) -> list[Table]:
    """Float tables by name."""
    return [Table("float", name, values) for name, values in arrays.items()]


def place_table(name: str, values: Array, limit: int) -> Table:
    """A table of places below a limit, in bytes where they do.

    Raises:
        InputError: the places are too many for 16 bits.
    """
    if limit > 32768:
        what = "a table of the model is longer than the C form allows"
        raise InputError(what, where=name, seen=limit, cure="Drop columns of many different words.")
    return Table("uint8_t" if limit <= 256 else "uint16_t", name, values)
