"""The Model Generator's choice: of the sizes that fit, the smallest that held-out rows can't tell from the best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.architecture.architecture import Size
from modelgpt_edge.errors import BudgetError

Losses = Mapping[int, NDArray[Any]]


def require_fit(sizes: list[Size]) -> None:
    """BudgetError where no size fits; names the closest."""
    if any(size.fits for size in sizes):
        return
    smallest = sizes[-1]
    raise BudgetError(
        "no model for this table fits the budget",
        where="budget",
        seen=f"the smallest, {describe(smallest)}, needs {smallest.over}",
        cure="Raise the limit, choose another device, or drop columns.",
    )


def choose_size(sizes: list[Size], losses: Losses) -> list[Size]:
    """Sizes to try under a budget, the chosen one first, then smaller ones in case that what was estimated turns out too small.

    It is the smallest whose loss is within one standard error of the best that fits and was scored; losses are compared row
    by row, so that what all sizes find hard doesn't blur the difference.

    Args:
        losses: (N,) held-out losses of the same rows, by hidden units.
    """
    fitting = [size for size in sizes if size.fits and size.architecture.units in losses]
    best = min(fitting, key=lambda size: float(losses[size.architecture.units].mean()))
    chosen = min((size for size in fitting if _within(losses, size, best)), key=lambda size: size.architecture.bytes)
    return fitting[fitting.index(chosen) :]


def _within(losses: Losses, size: Size, best: Size) -> bool:
    """Whether a size's mean loss is within one standard error of the best's, over paired rows."""
    difference = losses[size.architecture.units] - losses[best.architecture.units]
    error = float(difference.std()) / np.sqrt(max(1, len(difference)))
    return bool(difference.mean() <= error)


def describe(size: Size) -> str:
    """A size in words."""
    a = size.architecture
    return f"{a.units:,} hidden units" if a.units else "the plain linear model"
