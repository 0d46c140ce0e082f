"""Find times and sizes in a text: numbers with a unit, as people write them. What they mean there is not decided here.

Sizes are binary (kB = KB = KiB = 1024 bytes), as the data sheets of microcontrollers count flash and RAM.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MILLISECONDS: Mapping[str, float] = {
    "us": 1e-3,
    "\N{GREEK SMALL LETTER MU}s": 1e-3,
    "microsecond": 1e-3,
    "ms": 1,
    "msec": 1,
    "milli": 1,
    "millisecond": 1,
    "s": 1e3,
    "sec": 1e3,
    "second": 1e3,
}
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
BYTES: Mapping[str, float] = {
    "byte": 1,
    **dict.fromkeys(("k", "kb", "kib", "kbyte", "kilobyte", "kibibyte"), KIB),
    **dict.fromkeys(("m", "mb", "mib", "mbyte", "megabyte", "mebibyte", "meg"), MIB),
    **dict.fromkeys(("g", "gb", "gib", "gbyte", "gigabyte", "gibibyte", "gig"), GIB),
}
NUMBER_WORDS: Mapping[str, float] = {
    "half": 0.5,
    "quarter": 0.25,
    "a": 0,  # "a second" is one second, "half a second" is half of one
    "an": 0,
    **{word: float(i) for i, word in enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine"), 1)},
    **{word: 10.0 * i for i, word in enumerate(("ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty"), 1)},
    "ninety": 90,
    "twelve": 12,
    "fifteen": 15,
    "hundred": 100,
}


@dataclass(frozen=True)
class Quantity:
    """A number with a unit.

    Attributes:
        value: milliseconds or bytes.
        unit: the unit as written.
        start, end: where it stands in the text, from the first digit of a range to the end of the unit.
    """

    value: float
    unit: str
    start: int
    end: int


def find_times(text: str) -> Iterator[Quantity]:
    """Times in a `search_text`, in milliseconds; the upper end of a range. Minutes and longer are no latencies."""
    return _find(text, TIME, MILLISECONDS)


def find_sizes(text: str) -> Iterator[Quantity]:
    """Sizes of memory in a `search_text`, in bytes; the upper end of a range."""
    return _find(text, SIZE, BYTES)


def _pattern(units: Mapping[str, float]) -> re.Pattern[str]:
    unit = "|".join(sorted(units, key=len, reverse=True))
    word = "|".join(sorted(NUMBER_WORDS, key=len, reverse=True))
    # Counted repetitions, so that no text makes the search slow.
    words = rf"(?:{word})(?:[ -](?:of |and )?(?:{word})){{0,4}}"
    digits = r"\d[\d.,]{0,20}(?: \d{3}(?!\d)){0,4}|\.\d{1,20}"
    lower_end = r"(?:\d[\d.,]{0,20} ?(?:-|\N{EN DASH}|to|and) ?)?"
    return re.compile(
        rf"(?<![\w.,])(?<!\W-){lower_end}(?P<number>{digits}|{words}(?=[ -]))[ -]?(?P<unit>{unit})(?:(?<=[a-z][a-z])s)?(?!\w)"
    )


def _find(text: str, pattern: re.Pattern[str], units: Mapping[str, float]) -> Iterator[Quantity]:
    for match in pattern.finditer(text):
        number = _number(match["number"])
        if number is not None:
            yield Quantity(number * units[match["unit"]], match["unit"], match.start(), match.end())


def _number(text: str) -> float | None:
    """``1,000`` and ``1 000`` are a thousand, ``2,5`` is two and a half, ``1.2.3`` is None."""
    if text[0].isalpha():
        return _spelled(re.findall(r"[a-z]+", text))
    digits = text.replace(" ", "").rstrip(".,")
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", digits):
        digits = digits.replace(",", "")
    try:
        return float(digits.replace(",", "."))
    except ValueError:
        return None


def _spelled(words: list[str]) -> float:
    total = 0.0
    for word in words:
        total = max(total, 1) * 100 if word == "hundred" else total + NUMBER_WORDS.get(word, 0)
    return total or 1.0


TIME, SIZE = _pattern(MILLISECONDS), _pattern(BYTES)
