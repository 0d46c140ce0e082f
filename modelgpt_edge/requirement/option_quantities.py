"""Read sizes and times given as options: ``64kB``, ``1.5 MB``, ``65536``, ``5ms``, ``200 us``."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from modelgpt_edge.errors import InputError
from modelgpt_edge.requirement.quantities import Quantity, find_sizes, find_times
from modelgpt_edge.requirement.wording import search_text


def read_bytes(option: str, text: str | None) -> int | None:
    """Bytes of a size, of which a bare number is one; InputError where it is none or not above 0."""
    if text is None:
        return None
    value = _value(search_text(text), find_sizes)
    if value is None or not 1 <= value < float("inf"):
        cure = "Give a number of bytes or a size with its unit, such as 64kB or 1.5MB."
        raise InputError("this is no size of memory", where=option, seen=text, cure=cure)
    return int(value)


def read_latency(option: str, text: str | None) -> float | None:
    """Milliseconds of a time, of which a bare number is one; InputError where it is none or not above 0."""
    if text is None:
        return None
    value = _value(search_text(text), find_times)
    if value is None or not 0 < value < float("inf"):
        cure = "Give milliseconds or a time with its unit, such as 5ms or 200us."
        raise InputError("this is no time", where=option, seen=text, cure=cure)
    return value


def read_seconds(option: str, text: str) -> float:
    """Seconds of a time, of which a bare number is one; InputError where it is none or below 0."""
    value = _value(search_text(text), find_times, bare=1_000)
    if value is None or not 0 <= value < float("inf"):
        cure = "Give seconds or a time with its unit, such as 5 or 500ms."
        raise InputError("this is no time", where=option, seen=text, cure=cure)
    return value / 1_000


def _value(text: str, find: Callable[[str], Iterator[Quantity]], bare: float = 1) -> float | None:
    """A bare number, in units of `bare`, or the one quantity that is all of the text."""
    try:
        return bare * float(text)
    except ValueError:
        return next((q.value for q in find(text) if q.start == 0 and q.end == len(text)), None)
