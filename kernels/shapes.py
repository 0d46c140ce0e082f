"""Sizes that a server meets: what the full-size tests and the bench run, and what is tuned on."""

from __future__ import annotations

from dataclasses import dataclass

# Requests of one launch: one user, a busy second, a busy minute.
REQUESTS = (1, 64, 1024)
# The same with steps between, for a curve.
SWEEP = (1, 8, 64, 256, 1024)
# Ranks of the factors of emitted and merged layers.
RANKS = (4, 8, 16)


@dataclass(frozen=True)
class Layer:
    """A weight of a template, (inputs, outputs)."""

    inputs: int
    outputs: int


@dataclass(frozen=True)
class Table:
    """A small table and one draw of units over its encoded columns."""

    rows: int
    columns: int
    tanh: int
    leaf: int
    outputs: int

    @property
    def features(self) -> int:
        """Encoded columns and units, what the head is over."""
        return self.columns + self.tanh + self.leaf

    @property
    def layers(self) -> tuple[Layer, Layer, Layer]:
        """The child's weights: tanh units, the three steps of leaf units, head."""
        return (
            Layer(self.columns, self.tanh),
            Layer(self.columns, 3 * self.leaf),
            Layer(self.features, self.outputs),
        )


# 256 rows of 16 encoded columns, at 256 and at 640 units a draw (`parameters/units.py`: a fifth of them leaf units).
TABLES = (Table(256, 16, 205, 51, 2), Table(256, 16, 512, 128, 2))
# The same of many columns and classes, and of as many rows as one chunk of a streamed table.
WIDE_TABLE = Table(1000, 300, 512, 128, 10)
LONG_TABLE = Table(65_536, 16, 512, 128, 2)

# One layer of MiniLM-L6 (384 wide, 1,536 inside): query, key, value and output, and the two of the feed-forward part.
MINILM_LAYER = (*(Layer(384, 384),) * 4, Layer(384, 1536), Layer(1536, 384))
MINILM = MINILM_LAYER * 6
