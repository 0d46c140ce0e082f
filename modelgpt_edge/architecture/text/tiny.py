"""The template for small devices: a table of a few numbers for each piece of a word. A text is their sum, at unit length.

To the rest it is an encoder without layers, so heads, packages, pages and emulators take it as any other. What stands in the
table is for `parameters/text/tiny.py` to say; no teacher comes in here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from onnx import TensorProto

from modelgpt_edge.architecture.text.bert import compare, pool
from modelgpt_edge.architecture.text.files import EncoderFiles
from modelgpt_edge.architecture.text.products import Products
from modelgpt_edge.architecture.text.shape import Shape
from modelgpt_edge.child import Floats
from modelgpt_edge.onnx_nodes import Graph

TINY, TABLE = "tiny", "table"
# What a tiny model takes at most where no limit says less.
MOST_BYTES = 1_000_000
# What a variant holds beside table, tokenizer and head: the graph's nodes, in a page the modules as well.
BESIDE = 20_000
# Each row of the table is stored in 8 bits with a scale of its own, which loses nothing: it was rounded so when it was made.
STORED = Products("int8-dynamic")


@dataclass(frozen=True)
class Size:
    """How many pieces of words a table has beside ASCII's characters, and how many numbers each has."""

    pieces: int
    width: int

    def bytes(self, rows: int, tokenizer: int, classes: int) -> int:
        """About what a variant takes, of so many rows in all, bytes of tokenizer and classes."""
        return rows * (self.width + 4) + tokenizer + 4 * classes * (self.width + 1) + BESIDE


SIZES = (Size(8_000, 96), Size(8_000, 64), Size(4_000, 64), Size(2_000, 48), Size(1_000, 32))


@dataclass(frozen=True)
class TableShape(Shape):
    """Sizes of a table: `words` rows of `width` numbers, and the most pieces of a text that are read, in `positions`."""

    @staticmethod
    def sized(words: int, width: int, length: int) -> TableShape:
        """Of so many rows and numbers, and texts of at most so many pieces."""
        return TableShape(layers=0, width=width, heads=1, inner=0, words=words, positions=length, kinds=0, epsilon=0.0)

    @cached_property
    def arrays(self) -> Mapping[str, tuple[int, ...]]:
        """The table alone."""
        return {TABLE: (self.words, self.width)}

    def macs(self, tokens: int) -> int:
        """A sum of so many rows."""
        return tokens * self.width


@dataclass(frozen=True, eq=False)
class TableFiles(EncoderFiles):
    """A table as an encoder; `folder` is its teacher's.

    Attributes:
        table: (V, D).
    """

    table: Floats = field(repr=False)

    def weights(self) -> dict[str, Floats]:
        """The table, by its name."""
        return {TABLE: self.table}

    @cached_property
    def sha256(self) -> str:
        """Checksum of all that decides what it computes."""
        total = hashlib.sha256(repr((self.shape, self.length)).encode())
        total.update(self.tokenizer)
        total.update(np.ascontiguousarray(self.table).tobytes())
        return total.hexdigest()


def rounded(table: Floats) -> Floats:
    """Rows (V, D) as they can be stored in 8 bits with a scale of their own."""
    scale = (np.maximum(np.abs(table).max(1, keepdims=True), np.float32(1e-9)) / 127).astype(np.float32)
    return (np.rint(table / scale) * scale).astype(np.float32)


def add_table(graph: Graph, files: EncoderFiles, weights: Mapping[str, Floats], pairs: bool = False) -> str:
    """Add it to a graph, whose input ``codes`` is declared here; as `add_bert`, whose results these are like."""
    codes = graph.input("codes", "int32", "L")
    nothing = graph.constant("nothing", np.int32(0))
    real = graph.add("Cast", graph.add("GreaterOrEqual", codes, nothing), name="real", to=TensorProto.INT32)
    masks, own = [real], codes
    if pairs:
        words = graph.constant("vocabulary", np.int32(files.shape.words))
        later = graph.add("Cast", graph.add("GreaterOrEqual", codes, words), name="of_second", to=TensorProto.INT32)
        masks = [graph.add("Sub", real, later, name="of_first"), later]
        own = graph.add("Sub", codes, graph.add("Mul", later, words))
    rows = STORED.lookup(graph, "words", weights[TABLE], graph.add("Max", own, nothing, name="ids"))
    floats = [graph.add("Cast", mask, name=f"mask{i}", to=TensorProto.FLOAT) for i, mask in enumerate(masks)]
    pooled = [pool(graph, files.pooling, rows, mask) for mask in floats]
    return compare(graph, files.shape.width, *pooled) if pairs else pooled[0]
