"""Python values as C text: numbers, tables, strings and comments that any compiler reads as they were meant."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
WIDTH = 124
SIZES = {"int8_t": 1, "uint8_t": 1, "int16_t": 2, "uint16_t": 2, "float": 4}
LIMITS = {"int8_t": (-128, 127), "uint8_t": (0, 255), "int16_t": (-32768, 32767), "uint16_t": (0, 65535)}


@dataclass(frozen=True)
class Table:
    """A constant array of the model.

    Attributes:
        type: the C type of an element, a key of `SIZES`.
        aligned: whether the code reads it by whole words.
    """

    type: str
    name: str
    values: Array
    aligned: bool = False

    @property
    def bytes(self) -> int:
        """What it takes in flash."""
        return SIZES[self.type] * self.values.size

    def declaration(self) -> str:
        """The array as C.

        Raises:
            OverflowError: a value doesn't fit the type, which would be a fault of the emitter.
        """
        flat = self.values.ravel()
        if self.type != "float":
            least, most = LIMITS[self.type]
            if flat.size and (flat.min() < least or flat.max() > most):
                raise OverflowError(f"{self.name} holds a value that no {self.type} does")
        items = float_literals(flat) if self.type == "float" else list(map(str, flat.astype(np.int64).tolist()))
        aligned = " ALIGNED" if self.aligned else ""
        return f"static const {self.type} {self.name}[{flat.size}]{aligned} = {{\n{_lines(items)}\n}};"


def _lines(items: list[str]) -> str:
    """Items in lines of a fixed count, which is quicker than filling them and as readable."""
    count = max(1, (WIDTH - 4) // (max(map(len, items), default=1) + 2))
    return ",\n".join("    " + ", ".join(items[i : i + count]) for i in range(0, len(items), count))


def float_literals(values: Array) -> list[str]:
    """Float32 values as the shortest decimal texts that read back to the same bits.

    Raises:
        OverflowError: one is infinite or no number.
    """
    single = values.astype(np.float32)
    if not np.isfinite(single).all():
        raise OverflowError("a value that is infinite or no number has no literal in C")
    return [text + ("f" if "." in text or "e" in text else ".0f") for text in single.astype("U16").tolist()]


def float_literal(value: float) -> str:
    """A float32 as `float_literals` writes it."""
    return float_literals(np.array([value]))[0]


def string_literal(text: str) -> str:
    """A string as C: everything but plain ASCII as octal bytes of its UTF-8, question marks too, for trigraphs' sake."""
    plain = set(range(0x20, 0x7F)) - set(b'"\\?')
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode("utf-8", "surrogatepass")) + '"'


def comment_text(text: str) -> str:
    """A user's text in a comment that it can't close, nor break its line, nor run on to the next."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return shown.replace("*/", "* /").replace("/*", "/ *").replace("\\", "\\ ").replace("??", "? ?")


def class_literals(classes: Iterable[str]) -> str:
    """Names of classes as the initialisers of ``class_names.h``."""
    return ",\n".join(f"        {string_literal(name)}" for name in classes)


def numbered(names: Iterable[str]) -> Iterator[str]:
    """Names with their places, for a comment."""
    yield from (f"    {place} {comment_text(text)}" for place, text in enumerate(names))


def comment(lines: Iterable[str]) -> str:
    """A block comment of lines that are already safe."""
    return "\n".join(["/*", *(f" * {line}".rstrip() for line in lines), " */"])


def constants(values: Iterable[tuple[str, int]]) -> str:
    """Sizes as one enum, which takes no flash."""
    body = ", ".join(f"{name} = {value}" for name, value in values)
    return textwrap.fill(f"enum {{ {body} }};", WIDTH, subsequent_indent="    ")


def wrapped(items: list[str], indent: str) -> list[str]:
    """Items in lines, separated by commas; a long item has a line of its own."""
    lines, line = [], ""
    for item in items:
        if line and len(indent) + len(line) + len(item) > WIDTH:
            lines.append(indent + line.rstrip())
            line = ""
        line += item + ", "
    return [*lines, indent + line.rstrip(", ")] if line else lines
