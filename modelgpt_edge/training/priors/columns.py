"""From latent values to columns as files hold them.

Scales, whole numbers, counts, rounding, bounds, zeros, flags, categories and missing cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelgpt_edge.training.priors.laws import log_uniform, normal, pick, shares, standardise
from modelgpt_edge.training.priors.table import Floats, Places, World

NUMBER_KINDS = {
    "plain": 0.3,
    "warped": 0.17,
    "skewed": 0.13,
    "heavy": 0.06,
    "whole": 0.11,
    "counts": 0.06,
    "bounded": 0.06,
    "zeros": 0.05,
    "flag": 0.06,
}
LARGEST_SIZE = 30


@dataclass(frozen=True)
class Columns:
    """Columns of a table, as `Drawn` holds them: numbers (N, A), codes (N, B), sizes (B,)."""

    numbers: Floats
    codes: Places
    sizes: Places


def draw_columns(rng: np.random.Generator, world: World) -> Columns:
    """Show the features of a world as columns in random order, some of them with missing cells."""
    rows, count = world.features.shape
    categorical = float(rng.choice((0.0, rng.random(), 0.95), p=(0.4, 0.5, 0.1)))
    # A table leans towards some kinds of column: sensors are smooth, forms are full of whole numbers.
    kinds = {name: weight * float(rng.standard_gamma(0.7)) for name, weight in NUMBER_KINDS.items()}
    lost = _Missing(float(rng.uniform(0.1, 0.7)) if rng.random() < 0.3 else 0.0, log_uniform(rng, 0.01, 0.3))
    numbers, codes = [], []
    for place in rng.permutation(count):
        values, levels = world.features[:, place], int(world.levels[place])
        gaps = lost.draw(rng, values)
        if levels and rng.random() < 0.9:
            codes.append(np.where(gaps, -1, values.astype(np.int32)))
        elif not levels and rng.random() < categorical:
            codes.append(np.where(gaps, -1, _categories(rng, values, world.features)))
        else:
            numbers.append(np.where(gaps, np.float32(np.nan), _number(rng, values, "plain" if levels else pick(rng, kinds))))
    compact = [_compact(rng, column) for column in codes]
    return Columns(
        np.stack(numbers, axis=1).astype(np.float32) if numbers else np.zeros((rows, 0), np.float32),
        np.stack(compact, axis=1) if compact else np.zeros((rows, 0), np.int32),
        np.array([column.max() + 1 for column in compact], np.int32),
    )


@dataclass(frozen=True)
class _Missing:
    """The share of columns with missing cells, and about the share of cells that they lack."""

    columns: float
    rate: float

    def draw(self, rng: np.random.Generator, values: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        if rng.random() >= self.columns:
            return np.zeros(len(values), np.bool_)
        rate = min(0.5, self.rate * log_uniform(rng, 0.3, 3))
        if rng.random() < 0.5:
            return rng.random(len(values)) < rate
        # Large values (or small ones) are missing more often.
        steep = rng.uniform(-3, 3)
        odds = 1 / (1 + np.exp(-steep * np.clip(values, -5, 5)))
        return rng.random(len(values)) < np.minimum(2 * rate * odds, 0.6)


def _number(rng: np.random.Generator, values: Floats, kind: str) -> Floats:
    """One number column of a kind, at a scale and offset of its own."""
    if kind == "warped":
        # Kumaraswamy's distribution function bends the range either way at either end.
        low, high = values.min(), values.max()
        inside = np.clip((values - low) / max(high - low, 1e-6), 1e-4, 1 - 1e-4)
        values = 1 - (1 - inside ** log_uniform(rng, 0.3, 3)) ** log_uniform(rng, 0.3, 3)
    elif kind == "skewed":
        values = np.exp(values * np.float32(rng.uniform(0.2, 1.2)))
    elif kind == "heavy":
        values = np.sign(values) * np.abs(values) ** np.float32(rng.uniform(1.5, 3))
    elif kind == "whole":
        return np.round(values * np.float32(log_uniform(rng, 0.8, 15))) + np.float32(rng.integers(0, 50))
    elif kind == "counts":
        logarithm = values * np.float32(rng.uniform(0.3, 1)) + np.float32(rng.uniform(-0.5, 2.5))
        return rng.poisson(np.exp(np.clip(logarithm, -5, 6))).astype(np.float32)
    elif kind == "bounded":
        low, high = np.quantile(values, (rng.uniform(0, 0.25), rng.uniform(0.75, 1)))
        values = np.clip(values, low, high)
    elif kind == "zeros":
        values = np.maximum(values - np.quantile(values, rng.uniform(0.2, 0.7)), 0)
    elif kind == "flag":
        return (values > np.quantile(values, rng.uniform(0.1, 0.9))).astype(np.float32)
    scale = log_uniform(rng, 0.01, 1000)
    values = values * np.float32(scale) + np.float32(scale * rng.normal() * rng.choice((0, 3)))
    if rng.random() < 0.25:
        step = np.float32(10.0 ** np.floor(np.log10(max(float(values.std()), 1e-9)) - rng.integers(0, 2)))
        values = np.round(values / step) * step
    return values.astype(np.float32)


def _categories(rng: np.random.Generator, values: Floats, features: Floats) -> Places:
    """One category column of a latent value: bins of it, or the nearest prototype of it and others."""
    size = _size(rng, len(values))
    if rng.random() < 0.6:
        even = float(rng.choice((20.0, 2.0, 0.7)))
        bounds = np.quantile(values, np.cumsum(shares(rng, size, even, 0.01))[:-1])
        codes = np.searchsorted(bounds, values).astype(np.int32)
    else:
        others = features[:, rng.integers(0, features.shape[1], int(rng.integers(1, 3)))]
        points = np.concatenate([values[:, None], standardise(others)], axis=1)
        if rng.random() < 0.3:
            points = points + np.float32(rng.uniform(0.1, 0.7)) * normal(rng, *points.shape)
        centres = points[rng.integers(0, len(points), size)]
        codes = (np.square(centres).sum(1) - 2 * points @ centres.T).argmin(1).astype(np.int32)
    return rng.permutation(size)[codes].astype(np.int32)


def _size(rng: np.random.Generator, rows: int) -> int:
    """How many categories a column has: mostly 2 to 12, a few up to 30, as far as the rows go."""
    law = pick(rng, {"two": 0.35, "few": 0.55, "many": 0.1})
    size = 2 if law == "two" else 2 + int(rng.geometric(0.28)) if law == "few" else int(rng.integers(10, LARGEST_SIZE + 1))
    return max(2, min(size, rows // 8, LARGEST_SIZE))


def _compact(rng: np.random.Generator, codes: Places) -> Places:
    """The same column with every category present, and with two at least."""
    present = codes >= 0
    kept = np.unique(codes[present])
    if len(kept) < 2:
        return (rng.permutation(len(codes)) % 2).astype(np.int32)
    return np.where(present, np.searchsorted(kept, codes), -1).astype(np.int32)
