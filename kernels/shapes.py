"""Sizes that a server meets: what the full-size tests and the bench run, and what is tuned on."""

from __future__ import annotations

from dataclasses import dataclass

# Requests of one launch: one user, a server's largest launch on a GPU (`server/settings.py`), a busy minute.
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


# 256 rows of 16 encoded columns, at 256 and at 640 units a draw (`parameters/units.py`: a fifth of them leaf units).
TABLES = (Table(256, 16, 205, 51, 2), Table(256, 16, 512, 128, 2))
# The same of many columns and classes, and of as many rows as one chunk of a streamed table.
WIDE_TABLE = Table(1000, 300, 512, 128, 10)
LONG_TABLE = Table(65_536, 16, 512, 128, 2)

# One layer of MiniLM-L6 (384 wide, 1,536 inside): query, key, value and output, and the two of the feed-forward part.
MINILM_LAYER = (*(Layer(384, 384),) * 4, Layer(384, 1536), Layer(1536, 384))
MINILM = MINILM_LAYER * 6

# What a server launches for texts (`parameters/text/batched_lora.py`), all in float32. `emit` makes the first factors, (384, 8)
# row by row, of a row of coefficients and a basis of 8 members, which all requests share; `merge` makes the products of
# attention, query, key and value as one and output, of those and of second factors that all requests share.
LORA_BASIS, LORA_RANK = 8, 8
LORA_FACTORS = (Layer(1, 384 * LORA_RANK),) * 12
LORA_PRODUCTS = (Layer(384, 3 * 384), Layer(384, 384)) * 6
# Types that its products are stored in.
LORA_STORED = ("fp32", "fp16", "i8")
