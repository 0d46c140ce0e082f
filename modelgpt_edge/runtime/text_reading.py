"""Rows given to a model of texts: raw cells to strings, and what the user should know of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelgpt_edge.data.cells import Cells, read_texts
from modelgpt_edge.data.delimited import ONE_COLUMN
from modelgpt_edge.data.stream import Source
from modelgpt_edge.errors import InputError, nearest

SHOWN = 5


class TextReader:
    """Reads the chunks of one table for a model of texts, and counts what is odd in them.

    Args:
        names: the model's text columns.
    """

    def __init__(self, names: Sequence[str], source: Source) -> None:
        self._names, self._source = tuple(names), source
        self._empty = 0
        absent = next((name for name in self._names if name not in set(source.columns)), None)
        if absent is not None:
            what = f"the model needs column {absent!r}, and the table doesn't have it"
            cure = nearest(absent, source.columns)
            raise InputError(what, where=source.name, seen=list(source.columns[:20]), cure=cure)

    def read(self, cells: Mapping[str, Cells]) -> tuple[list[str], ...]:
        """Texts of each column (N,)."""
        columns = tuple(read_texts(cells[name]) for name in self._names)
        self._empty += sum(not all(text.strip() for text in row) for row in zip(*columns))
        return columns

    def notes(self) -> tuple[str, ...]:
        """What was odd in the table and in the chunks read so far, a sentence each."""
        unused = [repr(name) for name in self._source.columns if name not in set(self._names)]
        more = f" and {len(unused) - SHOWN} more" if len(unused) > SHOWN else ""
        notes = [f"not used: {', '.join(unused[:SHOWN])}{more}"] if unused else []
        if self._empty and len(self._names) > 1:
            lack = "1 pair lacks" if self._empty == 1 else f"{self._empty:,} pairs lack"
            notes.append(f"{lack} a text: the model compares the other with nothing")
        elif self._empty:
            empty, it = ("1 text is", "it") if self._empty == 1 else (f"{self._empty:,} texts are", "them")
            notes.append(f"{empty} empty: the model says of {it} what it says of nothing")
        # A file of one column is just what a model of single texts takes.
        opened = (note for note in self._source.notes if note != ONE_COLUMN or len(self._names) > 1)
        return (*opened, *notes)
