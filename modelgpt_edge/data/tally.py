"""What a column holds, counted chunk by chunk in flat memory."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.data.cells import Cells, find_date_format, is_missing, read_floats, read_words
from modelgpt_edge.data.column_profile import ColumnProfile
from modelgpt_edge.data.distinct import Sketch, hash_numbers, hash_words
from modelgpt_edge.data.numbers import parse_number
from modelgpt_edge.data.sampling import take
from modelgpt_edge.data.words import BOOLEANS

ENOUGH = 0.95  # share of a column's cells that must read as numbers to make it one of numbers
# Different numbers that are counted one by one, more than classes may be: spelling a number as a word is what takes time.
COUNTED_NUMBERS = 256
_EXAMPLES = 20


@dataclass
class _Numbers:
    """The numbers of a column under one decimal mark."""

    count: int = 0
    whole: bool = True
    low: float = math.inf
    high: float = -math.inf
    infinite: int = 0

    def add(self, values: NDArray[np.float64]) -> None:
        finite = values[np.isfinite(values)]
        infinite = int(np.isinf(values).sum())
        self.count += len(finite) + infinite
        self.infinite += infinite
        if len(finite):
            self.low, self.high = min(self.low, float(finite.min())), max(self.high, float(finite.max()))
            self.whole = self.whole and bool((finite == np.rint(finite)).all())


@dataclass
class ColumnTally:
    """Counts one column: `add` every chunk of its cells, then `finish`.

    Attributes:
        name: the column's name.
        limit: distinct words to count before an estimate has to do.
        likely_decimal: the decimal mark to believe where the commas in the cells could be either.
    """

    name: str
    limit: int
    likely_decimal: str
    rows: int = 0
    missing: int = 0
    placeholders: int = 0
    longest: int = 0
    in_order: bool = True
    dot: _Numbers = field(default_factory=_Numbers)
    comma: _Numbers | None = None
    counts: Counter[str] = field(default_factory=Counter)
    sketch: Sketch | None = None
    odd: dict[str, None] = field(default_factory=dict)  # the first few words that are not numbers

    def add(self, cells: Cells) -> None:
        """Count the column's next cells."""
        values = read_floats(cells)
        unread = np.flatnonzero(np.isnan(values))
        words = read_words(take(cells, unread)).tolist() if len(unread) else []
        words = [word for word in words if word]
        self._count_order(values)
        self._count_distinct(cells, values, words)
        self._count_commas(cells)  # before `dot`, of which it may begin as a copy
        self.dot.add(values)
        self.rows += len(values)
        self.missing += len(unread) - len(words)
        if placeholders := set(filter(_is_placeholder, set(words))):
            self.placeholders += sum(word in placeholders for word in words)
        self.longest = max(self.longest, max(map(len, words), default=0))
        if len(self.odd) < _EXAMPLES:
            self.odd.update(dict.fromkeys(islice(words, _EXAMPLES)))

    def _count_order(self, values: NDArray[np.float64]) -> None:
        if self.in_order and len(values):
            first = self.dot.low if self.rows else float(values[0])
            self.in_order = first in (0, 1) and np.array_equal(values, first + self.rows + np.arange(len(values)))

    def _count_distinct(self, cells: Cells, values: NDArray[np.float64], words: list[str]) -> None:
        """Count canonical words until there are too many, then go on with a sketch of their hashes."""
        numbers = values[~np.isnan(values)]
        limit = min(self.limit, COUNTED_NUMBERS)
        if self.sketch is None and (len(numbers) <= limit or len(np.unique(numbers)) <= limit):
            self.counts.update(read_words(cells).tolist())
            self.counts.pop("", None)
            if len(self.counts) > self.limit:
                self._begin_sketch()
            return
        sketch = self.sketch or self._begin_sketch()
        sketch.add(hash_numbers(numbers))
        if words:
            sketch.add(hash_words(words))

    def _begin_sketch(self) -> Sketch:
        self.sketch = Sketch(self.limit)
        words = list(self.counts)
        values = read_floats(words)
        counts = np.fromiter(self.counts.values(), np.int64, len(words))
        read = ~np.isnan(values)
        self.sketch.add(hash_numbers(values[read]), counts[read])
        others = [word for word, is_read in zip(words, read) if not is_read]
        if others:
            self.sketch.add(hash_words(others), counts[~read])
        self.longest = max(self.longest, max(map(len, words), default=0))
        return self.sketch

    def _count_commas(self, cells: Cells) -> None:
        """Read the cells with decimal commas too, from the first chunk on in which that makes sense."""
        if self.comma is None:
            if not self.dot.whole or not _has_comma(cells):
                return
            with_comma = list(islice((c for c in cells if isinstance(c, str) and "," in c), 100))
            if sum(not math.isnan(parse_number(c, ",")) for c in with_comma) <= len(with_comma) / 2:
                return
            self.comma = copy(self.dot)  # whole numbers read alike under both marks
        self.comma.add(read_floats(cells, ","))

    def finish(self, sample: Cells) -> ColumnProfile:
        """The column's profile; `sample` are raw cells of a uniform sample of its rows."""
        decimal, numbers = self._decimal()
        many = self.sketch is not None
        present = self.rows - self.missing
        wordy = numbers.count < ENOUGH * present
        sampled = [word for word in read_words(sample).tolist() if word] if wordy else []
        words: Iterable[str] = dict.fromkeys(sampled) if many else self.counts
        booleans = sum(self.counts[b] for b in BOOLEANS)
        numeric = numbers.count - booleans
        dates = find_date_format(words) if wordy and not booleans else None
        return ColumnProfile(
            name=self.name,
            rows=self.rows,
            missing=self.missing,
            numeric=numeric,
            placeholders=self.placeholders,
            whole=numbers.whole and numeric > 0,
            low=numbers.low if numbers.low < math.inf else math.nan,
            high=numbers.high if numbers.high > -math.inf else math.nan,
            infinite=numbers.infinite,
            booleans=booleans,
            distinct=min(present, self.sketch.distinct()) if self.sketch else len(self.counts),
            many=many,
            counts={} if many else dict(self.counts.most_common()),
            unique=self.sketch.unique if self.sketch else all(n == 1 for n in self.counts.values()),
            in_order=self.in_order and self.rows > 0,
            decimal=decimal,
            date_format=dates[0] if dates else "",
            date_note=dates[1] if dates else "",
            longest=max(self.longest, max(map(len, self.counts), default=0)),
            phrases=sum(" " in word for word in sampled) / max(len(sampled), 1),
            example=_example(chain(self.odd, words), decimal) if numbers.count < present else "",
        )

    def _decimal(self) -> tuple[str, _Numbers]:
        """The decimal mark under which more cells are numbers; where that is even, the one the file makes likely."""
        if self.comma is None or self.comma.count < self.dot.count:
            return ".", self.dot
        if self.comma.count == self.dot.count and self.likely_decimal == ".":
            return ".", self.dot
        return ",", self.comma


def _has_comma(cells: Cells) -> bool:
    if isinstance(cells, np.ndarray) and cells.dtype.kind not in "OU":
        return False
    try:
        return "," in "".join(cells)  # type: ignore[arg-type]
    except TypeError:  # not all of them are strings
        return any(isinstance(cell, str) and "," in cell for cell in cells)


def _example(words: Iterable[str], decimal: str) -> str:
    """The first word that is not a number; a placeholder only where there is no other."""
    first = ""
    for word in words:
        if math.isnan(parse_number(word, decimal)):
            if not _is_placeholder(word):
                return word
            first = first or word
    return first


def _is_placeholder(word: str) -> bool:
    return len(word) <= 3 and not any(map(str.isalnum, word)) and not is_missing(word)
