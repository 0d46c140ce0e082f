"""Raw cells to days since 1970-01-01, and the pattern that reads a column of dates.

Patterns are matched by our own expressions, not by strptime: the same on every Python and under every locale, and quicker.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import date, datetime, timezone
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.data.raw import Cells, is_missing, listed
from modelgpt_edge.errors import InputError

EPOCH = date(1970, 1, 1).toordinal()
ENOUGH = 0.95  # share of the cells that must read under one pattern
MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)

_PARTS = {
    "%Y": r"(?P<Y>[0-9]{4})",
    "%y": r"(?P<y>[0-9]{2})",
    "%m": r"(?P<m>[0-9]{1,2})",
    "%d": r"(?P<d>[0-9]{1,2})",
    "%b": r"(?P<b>[A-Za-z]{3,9})\.?",
}
_ZONE = r"(?:[ ]?(?P<zone>Z|z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?))?"
_TIME = (
    r"(?:,?[ T]+(?P<H>[0-9]{1,2}):(?P<M>[0-9]{2})(?::(?P<S>[0-9]{2})(?:[.,](?P<f>[0-9]+))?)?(?:[ ]?(?P<half>[AaPp])\.?[Mm]\.?)?"
    + _ZONE
    + ")?"
)
_ISO = (
    r"(?P<Y>[0-9]{4})-(?P<m>[0-9]{1,2})-(?P<d>[0-9]{1,2})" + _TIME,
    r"(?P<Y>[0-9]{4})(?P<m>[0-9]{2})(?P<d>[0-9]{2})T(?P<H>[0-9]{2})(?P<M>[0-9]{2})(?:(?P<S>[0-9]{2})(?:\.(?P<f>[0-9]+))?)?"
    + _ZONE,
    r"(?P<Y>1[89][0-9]{2}|2[01][0-9]{2})-(?P<m>[0-9]{2})",
)
# In order of preference where two read a column equally well.
PATTERNS = (
    "iso",
    *("%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d.%m.%y", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y"),
    *("%d-%m-%Y", "%m-%d-%Y", "%d-%m-%y", "%m-%d-%y"),
    *("%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %b %y", "%b %d, %Y", "%b %d %Y", "%d/%b/%Y", "%Y-%b-%d"),
)


def read_days(cells: Cells, date_format: str) -> NDArray[np.float32]:
    """Read (N,) raw cells as float32 days since 1970-01-01, NaN where missing or unreadable; numbers are not dates.

    The fraction is the time of day, a time zone is turned to UTC. Date objects and ISO 8601 strings are read
    whatever the format, which is "iso" or a pattern of the parts %Y %y %m %d %b; InputError for any other part.
    """
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "M":
        moments = cells.astype("datetime64[us]")
        days = moments.view(np.int64) / 86_400e6
        return np.where(np.isnat(moments), np.nan, days).astype(np.float32)
    expressions = _expressions(date_format)
    cache: dict[str, float] = {}
    days = np.empty(len(cells))
    for i, cell in enumerate(listed(cells)):
        if type(cell) is not str:
            days[i] = _object_days(cell, expressions)
        elif (value := cache.get(cell)) is not None:
            days[i] = value
        else:
            days[i] = cache[cell] = _text_days(cell, expressions)
    return days.astype(np.float32)


def find_date_format(distinct: Iterable[str]) -> tuple[str, str] | None:
    """The pattern under which at least 95 % of the distinct cells are dates, and a note, or None.

    Day and month are told apart by the cells; where every cell reads both ways, slashes are month first, dashes
    day first, and the note says so. A plain number is never a date.
    """
    texts = [text for cell in distinct if not is_missing(text := cell.strip())]
    if not texts:
        return None
    needed = ENOUGH * len(texts)
    reads: dict[str, int] = {}
    for pattern in PATTERNS:
        expressions = _expressions(pattern, iso_too=False)
        misses, allowed = 0, len(texts) - needed
        for text in texts:
            misses += math.isnan(_text_days(text, expressions))
            if misses > allowed:
                break
        else:
            reads[pattern] = len(texts) - misses
    if not reads:
        return None
    best = max(reads, key=lambda p: (reads[p], -PATTERNS.index(p)))
    twin = best.replace("%d", "%?").replace("%m", "%d").replace("%?", "%m")
    if twin != best and reads.get(twin) == reads[best]:
        first = "month" if best.index("%m") < best.index("%d") else "day"
        return best, f"every date reads day first and month first; taken as {first} first ({best})"
    return best, ""


@lru_cache(maxsize=64)
def _expressions(date_format: str, iso_too: bool = True) -> tuple[re.Pattern[str], ...]:
    iso = tuple(re.compile(e) for e in _ISO) if iso_too or date_format == "iso" else ()
    if date_format == "iso":
        return iso
    pieces = re.split(r"(%.)", date_format)
    unknown = [p for p in pieces if p.startswith("%") and p not in _PARTS]
    if unknown or len(pieces) == 1:
        cure = f"Use 'iso' or a pattern of {', '.join(_PARTS)}."
        raise InputError("this date format cannot be read", where="date format", seen=date_format, cure=cure)
    body = "".join(_PARTS.get(p) or re.escape(p).replace(r"\ ", "[ ]+") for p in pieces)
    weekday = r"(?:[A-Za-z]{3,9}\.?,?[ ]+)?" if "%b" in date_format else ""
    return (re.compile(weekday + body + _TIME), *iso)


def _text_days(cell: str, expressions: tuple[re.Pattern[str], ...]) -> float:
    text = cell.strip()
    if _iso_like(text):
        try:
            return _moment_days(datetime.fromisoformat(text))
        except ValueError:
            return math.nan
    for expression in expressions:
        if found := expression.fullmatch(text):
            return _assemble(found.groupdict())
    return math.nan


def _iso_like(text: str) -> bool:
    """Whether the text has the two shapes of ISO 8601 that every Python's own quick reader takes alike."""
    if len(text) == 19:
        return text[4] == text[7] == "-" and text[10] in " T" and text[13] == text[16] == ":"
    return len(text) == 10 and text[4] == text[7] == "-"


def _assemble(part: dict[str, str | None]) -> float:
    """Days of the matched parts, NaN where the calendar or the clock has no such moment."""
    name, short = part.get("b"), part.get("y")
    month = _month(name) if name else int(part["m"] or 0)
    year = int(short) + (1900 if int(short) >= 69 else 2000) if short else int(part["Y"] or 0)  # as POSIX has it
    try:
        day = date(year, month, int(part.get("d") or 1)).toordinal() - EPOCH
    except ValueError:
        return math.nan
    if not part.get("H"):
        return float(day)
    hour, minute, second = int(part["H"] or 0), int(part["M"] or 0), int(part.get("S") or 0)
    if half := part.get("half"):
        if not 1 <= hour <= 12:
            return math.nan
        hour = hour % 12 + (12 if half in "Pp" else 0)
    if hour > 23 or minute > 59 or second > 60:
        return math.nan
    seconds = 3600 * hour + 60 * minute + second + float(f"0.{part.get('f') or 0}")
    return day + (seconds - _offset(part.get("zone"))) / 86_400


def _month(name: str) -> int:
    """Number of an English month, whole or cut ("Sep", "Sept"), 0 for any other word."""
    return next((i for i, month in enumerate(MONTHS, 1) if month.startswith(name.casefold())), 0)


def _offset(zone: str | None) -> int:
    """Seconds that a written zone is ahead of UTC."""
    if not zone or zone[0] not in "+-":
        return 0
    minutes = 60 * int(zone[1:3]) + int(zone[3:].lstrip(":") or 0)
    return 60 * minutes * (-1 if zone[0] == "-" else 1)


def _object_days(cell: Any, expressions: tuple[re.Pattern[str], ...]) -> float:
    if is_missing(cell):
        return math.nan
    if isinstance(cell, datetime):
        return _moment_days(cell.astimezone(timezone.utc) if cell.tzinfo else cell)
    if isinstance(cell, date):
        return float(cell.toordinal() - EPOCH)
    if isinstance(cell, np.datetime64):
        return float(cell.astype("datetime64[us]").astype(np.int64) / 86_400e6)
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", "replace")
    return _text_days(cell, expressions) if isinstance(cell, str) else math.nan


def _moment_days(moment: datetime) -> float:
    clock = 3600 * moment.hour + 60 * moment.minute + moment.second + moment.microsecond / 1e6
    return moment.toordinal() - EPOCH + clock / 86_400
