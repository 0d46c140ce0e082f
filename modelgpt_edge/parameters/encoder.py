"""Fit the encoder: medians, scales, rank tables, flags and vocabularies of one table.

Statistics only, no labels: what a column is worth is `relevance`'s business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import erf, sqrt

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Encoder, Floats

KNOTS = 32
# Knots lie within the one and apart by the other: differences beyond, or their inverses, are infinite in float32.
WIDEST, NARROWEST = np.float32(1e37), np.float32(1e-30)
# The normal distribution as a table, to invert it column by column without a loop.
_DEVIATIONS = np.linspace(-5, 5, 2001)
_SHARES = np.array([(1 + erf(d / sqrt(2))) / 2 for d in _DEVIATIONS])
VOCABULARY = 256
YEAR_DAYS, WEEK_DAYS = 365.2425, 7.0
# 1970-01-01 was a Thursday; the phase only turns the circle, so any fixed value serves.
YEAR_AND_WEEK = ((1 / YEAR_DAYS, 0.0), (1 / YEAR_DAYS, 0.25), (1 / WEEK_DAYS, 0.0), (1 / WEEK_DAYS, 0.25))
TIME_OF_DAY = ((1.0, 0.0), (1.0, 0.25))
# Scale of a column that doesn't vary: too small to show, but not zero, whose product with an infinite cell is NaN.
FLAT = np.finfo(np.float32).tiny


def fit_encoder(numbers: Mapping[str, Floats], dates: Sequence[str], words: Mapping[str, NDArray[np.object_]]) -> Encoder:
    """Fit an encoder to a table.

    Args:
        numbers: number and date columns by name, each (N,) float32 with NaN where missing; may hold infinities.
        dates: names of those columns that hold days, which also get waves for year, week and time of day.
        words: word columns by name, each (N,) strings, "" where missing.

    Returns:
        An encoder whose one-hot columns are the words seen at least twice, at most 256 a column, commonest first.
    """
    names = tuple(numbers)
    raw = np.stack([numbers[n] for n in names], axis=1) if names else np.zeros((_rows(words), 0), np.float32)
    waves = [(names.index(d), f, p) for d in dates for f, p in _waves(numbers[d])]
    column = np.array([w[0] for w in waves], np.int32)
    frequency = np.array([w[1] for w in waves], np.float32)
    phase = np.array([w[2] for w in waves], np.float32)
    wide = np.concatenate([raw, np.sin(np.float32(2 * np.pi) * (frequency * raw[:, column] + phase))], axis=1)

    finite = np.isfinite(wide)
    count = np.maximum(finite.sum(0), 1)
    values = np.where(finite, wide, 0).astype(np.float64)
    median = np.array([np.median(c[f]) if f.any() else 0.0 for c, f in zip(values.T, finite.T)], np.float32)
    filled = np.where(np.isnan(wide), median, wide)
    center = values.sum(0) / count
    spread = np.sqrt((np.where(finite, values - center, 0) ** 2).sum(0) / count)
    varies = spread > 1e-6 * np.maximum(np.abs(center), 1e-30)
    scale = np.where(varies, 1 / np.where(varies, spread, 1), FLAT)

    tables = [(c, table) for c in range(len(names)) if varies[c] and (table := _rank_table(filled[:, c])) is not None]
    flags = [c for c in range(len(names)) if np.isnan(raw[:, c]).any() and not np.isnan(raw[:, c]).all()]
    vocabularies = tuple(_vocabulary(column, 2) for column in words.values())
    if not names and not any(vocabularies):
        # Something must be encoded: words seen once, or else the gap itself.
        vocabularies = tuple(_vocabulary(column, 1) or ("",) for column in words.values())
    return Encoder(
        numbers=names,
        words=tuple(words),
        vocabularies=vocabularies,
        wave_column=column,
        wave_frequency=frequency,
        wave_phase=phase,
        median=median,
        center=center.astype(np.float32),
        scale=scale.astype(np.float32),
        rank_column=np.array([c for c, _ in tables], np.int32),
        rank_knots=np.array([t[0] for _, t in tables], np.float32).reshape(len(tables), KNOTS),
        rank_values=np.array([t[1] for _, t in tables], np.float32).reshape(len(tables), KNOTS),
        flag_column=np.array(flags, np.int32),
    )


def _rows(words: Mapping[str, NDArray[np.object_]]) -> int:
    return len(next(iter(words.values()))) if words else 0


def _waves(days: Floats) -> tuple[tuple[float, float], ...]:
    """Frequencies and phases for a column of days; on whole days a wave of one day would hold nothing but rounding."""
    known = days[np.isfinite(days)]
    return YEAR_AND_WEEK if (known == np.rint(known)).all() else YEAR_AND_WEEK + TIME_OF_DAY


def _rank_table(column: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Knots and their normal scores, (Q,) each, or None for a column of two values, whose rank twin says nothing new.

    A knot's score is the normal quantile of its mid-rank, so ties share one score.
    """
    values, counts = np.unique(column[np.isfinite(column)], return_counts=True)
    middle = (np.cumsum(counts) - counts / 2) / counts.sum()
    values = np.clip(values, -WIDEST, WIDEST)
    apart = np.diff(values, prepend=-np.inf) > NARROWEST
    values, middle = values[apart], middle[apart]
    if len(values) < 3:
        return None
    if len(values) > KNOTS:
        wanted = np.linspace(middle[0], middle[-1], KNOTS)
        pick = np.unique(np.clip(np.searchsorted(middle, wanted), 0, len(values) - 1))
        values, middle = values[pick], middle[pick]
    scores = np.interp(middle, _SHARES, _DEVIATIONS)
    pad = KNOTS - len(values)
    return np.pad(values.astype(np.float64), (0, pad), mode="edge"), np.pad(scores, (0, pad), mode="edge")


def _vocabulary(column: NDArray[np.object_], least: int) -> tuple[str, ...]:
    """Words seen at least `least` times, commonest first."""
    common = [(word, n) for word, n in Counter(column.tolist()).items() if n >= least and word != ""]
    common.sort(key=lambda item: (-item[1], item[0]))
    return tuple(word for word, _ in common[:VOCABULARY])
