"""The order of classes, which is that of a model's probabilities, whatever they are classes of."""

from __future__ import annotations

import math
from collections.abc import Iterable


def class_order(names: Iterable[str]) -> tuple[str, ...]:
    """Names of classes by value where all are numbers, else by text."""
    numbers = {name: _number(name) for name in names}
    if any(map(math.isnan, numbers.values())):
        return tuple(sorted(numbers))
    return tuple(sorted(numbers, key=lambda name: (numbers[name], name)))


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan
