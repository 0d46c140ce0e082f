"""CSV and its kin (comma, semicolon, tab, bar) by the standard library: a board has no pyarrow.

Blocks of lines without a quote are split as they stand, which is twice as quick as the csv module; it reads the others.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TextIO

from modelgpt_edge.data.numbers import parse_number
from modelgpt_edge.data.raw import Chunk
from modelgpt_edge.data.stream import Source, chunk_rows, clean_names, no_rows
from modelgpt_edge.data.text import TextFile
from modelgpt_edge.errors import InputError

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_TOLERATED = 0.01  # share of rows that may have a wrong number of cells
_SNIFFED_LINES = 200
_NO_SEPARATOR = "\ud800"  # of a file of one column: half a surrogate pair, which no decoded text holds
ONE_COLUMN = "no separator was found: the whole line is one column"
_LONGEST = 1 << 24  # characters of a quoted cell: a text may be a book, a quote left open is told of all the same


def open_delimited(text: TextFile) -> Source:
    """A source over a delimited text file whose first line names the columns.

    InputError where names stand twice, where no data row follows, or where a quote is left open.
    """
    where = str(text.path)
    head = io.StringIO(text.head()).readlines()
    told = _told_separator(head[0])
    separator = told or find_separator(head[:_SNIFFED_LINES])
    with text.open() as file:
        reader = _Reader(file, separator, where)
        names, notes = clean_names(reader.header(), where)
        if not any(line.strip() for line in file):
            raise no_rows(where)
    if len(names) == 1:
        separator = _NO_SEPARATOR  # a text may hold commas
        notes = (ONE_COLUMN, *notes)
    elif SEPARATORS.get(separator) != ("tab" if ".tsv" in text.path.suffixes else "comma"):
        notes = (f"separator: {SEPARATORS.get(separator, separator)}", *notes)

    def read(notes: list[str]) -> Iterator[Chunk]:
        with text.open() as file:
            reader = _Reader(file, separator, where)
            reader.header()
            yield from reader.chunks(names, notes)

    return Source(where, names, (*text.notes, *notes), read, "," if separator == ";" else ".")


def find_separator(lines: Sequence[str]) -> str:
    """The separator that gives most lines as many cells as the first; of several, the one that leaves most cells numbers.

    Then the one that gives most cells; comma where none splits the first line.
    """
    best, found = (0.0, 0.0, 0), ","
    for separator in SEPARATORS:
        try:
            rows = [row for row in csv.reader(lines, delimiter=separator, skipinitialspace=True) if row]
        except csv.Error:
            continue
        if not rows or len(rows[0]) < 2:
            continue
        data = rows[1:-1] if len(rows) > 3 else rows[1:]  # the last one may be cut
        like = sum(len(row) == len(rows[0]) for row in data) / max(len(data), 1)
        cells = [cell for row in data for cell in row]
        readable = sum(parse_number(c) == parse_number(c) or parse_number(c, ",") == parse_number(c, ",") for c in cells)
        score = (1.0 if like >= 0.9 else like, readable / max(len(cells), 1), len(rows[0]))
        if score > best:
            best, found = score, separator
    return found


def _told_separator(line: str) -> str:
    """The separator of Excel's own first line, "sep=;", or nothing."""
    told = re.fullmatch(r"\"?sep=(.)\"?\s*", line, re.IGNORECASE)
    return told[1] if told else ""


@dataclass
class _Reader:
    """Where a pass stands in a delimited file."""

    file: TextIO
    separator: str
    where: str
    line: int = 0  # lines read so far
    rows: int = 0
    bad: list[tuple[int, int]] = field(default_factory=list)  # (line, cells) of rows with a wrong number of cells

    def header(self) -> list[str]:
        """The first record that is neither blank nor "sep=;"."""
        for line in self.file:
            if line.strip() and not _told_separator(line):
                [(_, row)] = self._quoted([line])
                return row
            self.line += 1
        return []

    def chunks(self, names: Sequence[str], notes: list[str]) -> Iterator[Chunk]:
        """The data rows as chunks; notes which were left out, InputError where those are too many."""
        width = len(names)
        size = chunk_rows(width)
        while lines := list(islice(self.file, size)):
            flat = self._flat(lines, width)
            if flat:
                self.rows += len(flat) // width
                yield {name: flat[i::width] for i, name in enumerate(names)}
        if len(self.bad) > max(1, _TOLERATED * (self.rows + len(self.bad))) or not self.rows:
            raise self._too_many_bad(width)
        if self.bad:
            shown = ", ".join(f"line {line} ({cells} cells)" for line, cells in self.bad[:5])
            more = ", ..." if len(self.bad) > 5 else ""
            notes.append(f"{len(self.bad)} rows without {width} cells are left out: {shown}{more}")

    def _flat(self, lines: list[str], width: int) -> list[str]:
        """The cells of a block of lines, row after row; reads on where the block ends inside a quoted cell."""
        text = "".join(lines)
        separator = self.separator
        if '"' in text:
            rows = self._quoted(lines)
        elif width > 1 and all(line.count(separator) == width - 1 for line in lines):
            self.line += len(lines)
            return text.removesuffix("\n").replace("\n", separator).split(separator)
        else:
            rows = [(self.line + i, line.rstrip("\n").split(separator)) for i, line in enumerate(lines, 1) if line.strip()]
            self.line += len(lines)
        return list(chain.from_iterable(row for line, row in rows if self._fits(line, row, width)))

    def _fits(self, line: int, row: list[str], width: int) -> bool:
        """Whether the row is data; blank ones are passed over, and empty cells beyond the last column cut off."""
        if not row or (len(row) == 1 < width and not row[0].strip()):
            return False
        if len(row) > width and not any(cell.strip() for cell in row[width:]):
            del row[width:]
        if len(row) != width:
            self.bad.append((line, len(row)))
        return len(row) == width

    def _quoted(self, lines: list[str]) -> list[tuple[int, list[str]]]:
        """Records that begin in these lines, each with its first line's number; InputError where a quote stays open."""
        ended = False

        def rest() -> Iterator[str]:
            nonlocal ended
            for line in self.file:  # noqa: UP028, a generator that ends early would close what it yields from
                yield line
            ended = True

        csv.field_size_limit(max(_LONGEST, csv.field_size_limit()))
        reader = csv.reader(chain(lines, rest()), delimiter=self.separator, skipinitialspace=True)
        rows = []
        start = 0
        try:
            while (start := reader.line_num) < len(lines):
                row = next(reader)
                if ended:
                    raise csv.Error
                rows.append((self.line + start + 1, row))
        except csv.Error as error:  # the file's end, or a cell beyond the limit
            raise InputError(
                "a quote is opened and not closed",
                where=f"{self.where}, line {self.line + start + 1}",
                seen=lines[start].rstrip("\n"),
                cure='Close it, or write a quote inside a quoted cell twice ("").',
            ) from error
        self.line += reader.line_num
        return rows

    def _too_many_bad(self, width: int) -> InputError:
        if not self.bad:
            return no_rows(self.where)
        line, cells = self.bad[0]
        return InputError(
            f"{len(self.bad)} of {len(self.bad) + self.rows} rows do not have the header's {width} cells",
            where=f"{self.where}, line {line}",
            seen=f"{cells} cells",
            cure='Check the separator, and put a cell that holds it between quotes ("...").',
        )
