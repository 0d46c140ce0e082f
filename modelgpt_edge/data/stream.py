"""A table as a stream of chunks of raw cells: what every reader returns and the rest of the room consumes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from modelgpt_edge.data.numbers import parse_number
from modelgpt_edge.data.raw import Chunk
from modelgpt_edge.data.words import level
from modelgpt_edge.errors import InputError

CHUNK_ROWS = 20_000
CHUNK_CELLS = 2_000_000


@dataclass(frozen=True)
class Source:
    """A table that can be read again and again, a chunk of rows at a time.

    Attributes:
        name: what to call it in messages: the file's path, or "the table".
        columns: names of the columns, in order.
        opening: what was noticed when it was opened.
        read: reads the table from the start; it appends what it notices on the way to the list it is given.
        decimal: the decimal mark to believe where the commas in a column's cells could be either.
    """

    name: str
    columns: tuple[str, ...]
    opening: tuple[str, ...]
    read: Callable[[list[str]], Iterator[Chunk]]
    decimal: str = "."
    _noticed: list[str] = field(default_factory=list, compare=False, repr=False)

    def chunks(self) -> Iterator[Chunk]:
        """Every row once, in order, as chunks of raw cells by column; InputError where a row cannot be read."""
        noticed: list[str] = []
        yield from self.read(noticed)
        self._noticed[:] = noticed  # reached by whole passes only, and each of them notices the same

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know: known at the opening, and after a whole pass also what that pass noticed."""
        return (*self.opening, *self._noticed)


def chunk_rows(columns: int) -> int:
    """Rows in a chunk: fewer where the table is very wide, so that a chunk's memory stays flat."""
    return max(1, min(CHUNK_ROWS, CHUNK_CELLS // max(columns, 1)))


def clean_names(raw: Sequence[object], where: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Column names without blanks around them, and notes; an empty one becomes "column_<n>".

    InputError where two columns have one name, or where there is no column at all.
    """
    if not raw:
        raise InputError("the table has no columns", where=where, cure="Give a table with named columns.")
    notes = []
    names = [level(str(name)) for name in raw]
    empty = [i for i, name in enumerate(names) if not name]
    for i in empty:
        names[i] = f"column_{i + 1}"
    if empty:
        first = ", ".join(names[i] for i in empty[:5])
        notes.append(
            f"{len(empty)} columns without a name are called by their place: {first}" + (", ..." if len(empty) > 5 else "")
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        places = [i + 1 for i, name in enumerate(names) if name == twice[0]]
        shown = ", ".join(map(str, places[:5]))
        raise InputError(
            f"{len(twice)} column names stand more than once" if len(twice) > 1 else "a column name stands more than once",
            where=where,
            seen=twice[0],
            cure=f"Give each column its own name: columns {shown} are all called {twice[0]!r}.",
        )
    if all(parse_number(name) == parse_number(name) for name in names):
        notes.append(
            f"the header holds only numbers ({', '.join(names[:3])}, ...): if that is data, put a line of names above it"
        )
    return tuple(names), tuple(notes)


def no_rows(where: str) -> InputError:
    """The error for a table that has names and nothing else."""
    return InputError("the table has no data rows", where=where, cure="Give a table with at least one row below the names.")
