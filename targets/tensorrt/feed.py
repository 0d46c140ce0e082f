"""What goes into an engine: the one input of its graph, by name, and the shapes that the engine is built for and tuned for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelgpt_edge.targets.backend import Source

ENCODED, CODES, PIXELS = "encoded", "codes", "pixels"
# Type of each input: encoded columns of tables, token ids of texts, pictures.
ELEMENTS = {ENCODED: "float32", CODES: "int32", PIXELS: "uint8"}
# Most rows of one run; longer batches run in parts.
ROWS, TEXTS, PICTURES = 256, 32, 16
SENTENCE = 16  # tokens of a text that engines are tuned for


@dataclass(frozen=True)
class Feed:
    """An engine's input.

    Attributes:
        name: of `ELEMENTS`.
        least, best, most: shapes, rows first, that it takes at least, is tuned for, and takes at most.
    """

    name: str
    least: tuple[int, ...]
    best: tuple[int, ...]
    most: tuple[int, ...]

    @staticmethod
    def of(source: Source) -> Feed:
        """Of a model of a table, of texts or of pictures."""
        if source.front == "tokens":
            texts = len(source.texts.columns)
            longest = texts * source.texts.tokens
            return Feed(CODES, (1, 1), (1, min(texts * SENTENCE, longest)), (TEXTS, longest))
        if source.front == "pixels":
            picture = (source.pictures.size, source.pictures.size, 3)
            return Feed(PIXELS, (1, *picture), (1, *picture), (PICTURES, *picture))
        return Feed.encoded(source.child.encoder.width)

    @staticmethod
    def encoded(width: int) -> Feed:
        """Of a table's encoded columns (N, D)."""
        return Feed(ENCODED, (1, width), (1, width), (ROWS, width))

    @property
    def flags(self) -> tuple[str, ...]:
        """What varies, for the engine's key."""
        longest = (f"TOKENS_1_TO_{self.most[1]}",) if self.name == CODES else ()
        return (f"ROWS_1_TO_{self.most[0]}", *longest)
