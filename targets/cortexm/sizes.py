"""Flash and RAM of a child in C from counts alone, before it is generated: what the Model Generator chooses a size by.

Tables are counted to the byte. The code's part is measured on all cores and rounded up: it depends on which parts a model has.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from typing import Protocol

from modelgpt_edge.child import Child
from modelgpt_edge.targets.cortexm.layout import STEPS, lay_out
from modelgpt_edge.targets.cortexm.quantise import round_up
from modelgpt_edge.targets.cortexm.tabular_int8 import TANH_REACH, TANH_STEPS
from modelgpt_edge.targets.cortexm.tabular_tables import TILE

# Shares of the units by kind, as the generator draws them.
DENSE, SPARSE = 0.4, 0.4
# Taps of a sparse unit and steps of a leaf unit are one, two or three, each as likely: their deviation, and how many
# deviations above the mean a sum of them is taken to lie at most.
DEVIATION, SURE = sqrt(2 / 3), 4.0
# Bytes of code for each part of a model, the most of all cores: compiled with and without it, -O2, GCC 12.
CODE = {
    "int8": {"base": 240, "numbers": 250, "waves": 400, "ranks": 240, "flags": 90, "words": 65, "units": 1080, "classes": 430},
    "fp32": {"base": 280, "numbers": 210, "waves": 400, "ranks": 315, "flags": 0, "words": 260, "units": 840, "classes": 305},
}
# The deepest stack of all cores; in fp32 one without a vector unit takes 120.
STACK = {"int8": 160, "fp32": 304}


class Columns(Protocol):
    """What an encoder makes of a table, in counts; see `modelgpt_edge.architecture.cost.Columns`."""

    @property
    def numbers(self) -> int:
        """Raw number columns."""

    @property
    def words(self) -> int:
        """Raw word columns."""

    @property
    def waves(self) -> int:
        """Waves of date columns."""

    @property
    def ranks(self) -> int:
        """Rank-normal columns."""

    @property
    def flags(self) -> int:
        """Flags of gaps."""

    @property
    def one_hots(self) -> int:
        """Known words of all word columns."""

    @property
    def knots(self) -> int:
        """Knots of a rank column's table, at most."""


@dataclass(frozen=True)
class Counts:
    """All that the size of a child in C depends on.

    Attributes:
        knots: of all rank columns together; taps: of all sparse units; steps: of all leaf units.
        outputs: classes, or 1 for a regression.
    """

    numbers: int
    words: int
    waves: int
    ranks: int
    flags: int
    one_hots: int
    knots: int
    dense: int
    sparse: int
    taps: int
    leaf: int
    steps: int
    outputs: int

    @staticmethod
    def of(child: Child) -> Counts:
        """The counts of a child that is there."""
        layout, encoder = lay_out(child), child.encoder
        return Counts(
            numbers=len(encoder.numbers),
            words=len(encoder.words),
            waves=len(encoder.wave_column),
            ranks=len(layout.knots),
            flags=len(encoder.flag_column),
            one_hots=layout.one_hots,
            knots=sum(map(len, layout.knots)),
            dense=layout.dense_bias.size,
            sparse=layout.sparse.order.size,
            taps=layout.sparse.weight.size,
            leaf=layout.leaf.order.size,
            steps=layout.leaf.weight.size,
            outputs=len(layout.classes) or layout.head_bias.size,
        )

    @staticmethod
    def planned(columns: Columns, outputs: int, units: int) -> Counts:
        """The counts of a child of so many units that isn't there yet; its taps and steps are surely no more."""
        dense, sparse = round(DENSE * units), round(SPARSE * units)
        leaf = units - dense - sparse
        return Counts(
            numbers=columns.numbers,
            words=columns.words,
            waves=columns.waves,
            ranks=columns.ranks,
            flags=columns.flags,
            one_hots=columns.one_hots,
            knots=columns.ranks * columns.knots,
            dense=dense,
            sparse=sparse,
            taps=_drawn(sparse),
            leaf=leaf,
            steps=_drawn(leaf),
            outputs=outputs,
        )


def flash_and_ram(columns: Columns, outputs: int, units: int, precision: str) -> tuple[int, int]:
    """Bytes of flash and of RAM, stack included, that `units` hidden units on these columns take at most.

    Args:
        outputs: classes, or 1 for a regression.
        precision: ``int8`` or ``fp32``.
    """
    return estimate(Counts.planned(columns, outputs, units), precision)


def estimate(counts: Counts, precision: str) -> tuple[int, int]:
    """Bytes of flash and of RAM, stack included, never below what any core takes."""
    tables, values = (_int8 if precision == "int8" else _fp32)(counts)
    parts = CODE[precision]
    code = sum(parts[name] for name in ("numbers", "waves", "ranks", "flags") if getattr(counts, name))
    code += parts["words"] * bool(counts.one_hots) + parts["units"] * bool(_units(counts))
    code += parts["classes"] * (counts.outputs > 1) + parts["base"]
    hot = 2 * round_up(counts.words, 2) if counts.one_hots else 0
    return tables + code, (2 if precision == "int8" else 4) * values + hot + STACK[precision]


def _drawn(units: int) -> int:
    return min(STEPS * units, ceil(2 * units + SURE * DEVIATION * sqrt(units)))


def _units(counts: Counts) -> int:
    return counts.dense + counts.sparse + counts.leaf


def _lengths(counts: Counts, multiple: int) -> tuple[int, int, int, int]:
    """One-hot columns, columns always on, dense units and all units, as they lie in the scratch."""
    dense = round_up(counts.dense, TILE)
    always = counts.numbers + counts.waves + counts.ranks + counts.flags
    hidden = round_up(dense + counts.sparse + counts.leaf, multiple)
    return round_up(counts.one_hots, multiple), round_up(max(1, always), multiple), dense, hidden


def _front(counts: Counts, rank_value: int) -> int:
    """Tables of the encoder and the lists of columns; a place takes a byte, or two where there are more than 256."""
    wide = counts.numbers + counts.waves
    place, start = (1 if wide <= 256 else 2), (1 if counts.knots < 256 else 2)
    encoder = 12 * wide + (8 + place) * counts.waves + place * (counts.ranks + counts.flags)
    ranks = (4 + rank_value) * counts.knots + start * (counts.ranks + 1) * bool(counts.ranks)
    words = (1 if counts.one_hots < 256 else 2) * (counts.words + 1) * bool(counts.one_hots)
    columns = wide + counts.ranks + counts.flags + counts.one_hots + 2
    taps = (1 if columns <= 256 else 2) * (counts.taps + counts.steps)
    padding = 3 * 12  # each table begins at a multiple of its elements' size
    return encoder + ranks + words + taps + 2 * 2 * STEPS + padding


def _int8(counts: Counts) -> tuple[int, int]:
    one_hots, always, dense, hidden = _lengths(counts, 2)
    scores = _scores(counts)
    tanh = 2 * (TANH_REACH * TANH_STEPS + 1) if hidden else 0
    units = dense * (always + counts.one_hots + 4) + 2 * (counts.taps + counts.sparse) + 4 * counts.steps
    head = scores * (2 * (always + hidden + counts.one_hots) + 8)
    return _front(counts, 2) + tanh + units + head, one_hots + always + hidden


def _fp32(counts: Counts) -> tuple[int, int]:
    one_hots, always, dense, hidden = _lengths(counts, 1)
    scores = _scores(counts)
    units = 4 * dense * (always + counts.one_hots + 1) + 4 * (counts.taps + counts.sparse) + 8 * counts.steps
    head = 4 * scores * (always + hidden + counts.one_hots + 1)
    return _front(counts, 4) + units + head, one_hots + always + hidden


def _scores(counts: Counts) -> int:
    return 1 if counts.outputs == 2 else counts.outputs
