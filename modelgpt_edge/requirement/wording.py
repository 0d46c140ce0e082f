"""Words for reports: names from a file made safe to print, and text made ready to search."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

UNIT = re.compile(
    r"(?<=\w) (?:sqm|sqft|sq ft|sq m|m2|m3|mm|cm|km|kg|mg|lbs?|kmh|mph|rpm|hz|khz|mhz|volts?|amps?|watts?|kw|kwh"
    r"|ms|secs?|mins?|hrs?|usd|eur|gbp|chf|pct|percent|celsius|fahrenheit|deg c|deg f|degrees)$"
)
PLAIN_NAME = re.compile(r"[\w][\w ./%+()#-]*")


def clean(text: str, limit: int = 32) -> str:
    """A text from a file on one line, without control or invisible characters, at most `limit` characters long."""
    visible = "".join(" " if c.isspace() else c for c in text[: 4 * limit] if c.isspace() or unicodedata.category(c)[0] != "C")
    line = " ".join(visible.split())
    return line if len(line) <= limit else line[: limit - 3].rstrip() + "..."


def shown(name: str, limit: int = 32) -> str:
    """`clean`, in quotes where the name could be taken for a part of the sentence around it."""
    line = clean(name, limit)
    return line if PLAIN_NAME.fullmatch(line) else '"' + line.replace('"', "'") + '"'


def spoken(items: Sequence[str], last: str = "and") -> str:
    """``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {last} {items[-1]}"


def spoken_name(name: str) -> str:
    """A class's name as one would say it: ``card_arrival`` and ``cardArrival`` become "card arrival"."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return " ".join(re.sub(r"[_\-/.]+", " ", split).split()) or name


def search_text(text: str) -> str:
    """A task's text with one form for each character, in lower case, runs of white space as one space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def unaccented(text: str) -> str:
    """A text in one form for each character, Latin letters without accents."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", re.sub(r"(?<=[A-Za-z])[\u0300-\u036f]+", "", unicodedata.normalize("NFKD", text)))


def name_words(name: str) -> str:
    """A header as the words it is made of: ``SalePrice``, ``sale_price`` and ``Sale price`` are all ``sale price``.

    Latin letters lose their accents, which people leave out of headers: ``età`` is ``eta``.
    """
    humps = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", unaccented(name))
    return " ".join(re.findall(r"[^\W_]+", humps.casefold()))


def without_unit(name: str) -> str:
    """`name_words` without what stands in brackets and without a unit at the end: ``area_sqm`` is ``area``."""
    return UNIT.sub("", name_words(re.sub(r"\([^)]*\)|\[[^\]]*\]", " ", name)))


def figure(value: float) -> str:
    """A number for people: three decimals where they show it, whole where it is large, else three significant digits."""
    if value == 0 or 0.001 <= abs(value) < 10_000:
        return f"{value:.3f}"
    return f"{value:,.0f}" if 10_000 <= abs(value) < 1e9 else f"{value:.3g}"


def share(value: float) -> str:
    """A score that is at most 1, with three decimals."""
    return f"{round(value, 3) + 0.0:.3f}" if value > -1_000 else f"{value:.3g}"


def interval(score: Mapping[str, Any]) -> str:
    """A score with its interval: ``0.825 [0.727, 0.893]``; ``not measured`` where there is none."""
    if score["value"] is None:
        return "not measured"
    return f"{share(score['value'])} [{share(score['low'])}, {share(score['high'])}]"


def network_name(kind: str, name: str, beside: str | None = None) -> str:
    """A network of pictures by its kind and its own name: ``backbone EfficientNet-Lite0``, ``tiny trunk``.

    Args:
        beside: name of the trunk that stands beside it.
    """
    alone = f"{name} {kind}" if kind == "trunk" else f"{kind} {name}"
    return alone if beside is None else f"{alone}, the {beside} trunk beside it"


def sized_name(kind: str, name: str, size: int) -> str:
    """The same at a size of its input, in a sentence: ``EfficientNet-Lite0 at 224 pixels``, ``the tiny trunk at 32 pixels``."""
    return f"{f'the {name} {kind}' if kind == 'trunk' else name} at {size} pixels"


def counted(count: int, what: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")
