"""What the emitters hand on: a model as C, and what can be said of it before any compiler saw it."""

from __future__ import annotations

from dataclasses import dataclass

SOURCE, HEADER = "model.c", "model.h"


@dataclass(frozen=True)
class Emitted:
    """A model as C.

    Attributes:
        source, header: contents of the .c and the .h.
        precision: ``fp32`` or ``int8``.
        table_bytes: constant tables, all in flash.
        scratch_bytes: RAM that the caller lends while a prediction runs.
    """

    source: str
    header: str
    precision: str
    table_bytes: int
    scratch_bytes: int

    @property
    def files(self) -> dict[str, bytes]:
        """Both files by name."""
        return {SOURCE: self.source.encode(), HEADER: self.header.encode()}


def form_of(header: bytes) -> str:
    """What a header's model takes: ``pixels`` or ``numbers`` of a network, or rows of a ``table``."""
    if b"_run(const uint8_t *pixels" in header:
        return "pixels"
    return "numbers" if b"_run(const float *input" in header else "table"
