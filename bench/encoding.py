"""How the peers see raw columns: one place that types and encodes them, with a view for each kind of learner.

Fitted on training rows alone. A column is a number if each of its present training cells reads as one, else a category; a test
cell that doesn't read, or a category never seen, counts as missing. Every peer gets the view it does best with.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

Raw = Mapping[str, Sequence]

# Histogram learners bin a category to a byte; rarer words than these share the code of a missing cell.
MOST_WORDS = 254


def as_number(cell: object) -> float:
    """A cell as a float, NaN where it is missing or no number."""
    try:
        value = float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan
    return value if math.isfinite(value) else math.nan


def as_word(cell: object) -> str:
    """A cell as a string, "" where it is missing."""
    return "" if cell is None or cell != cell else str(cell)


def _numbers(cells: Sequence) -> np.ndarray:
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "fiu":
        return cells.astype(np.float32)
    return np.array([as_number(cell) for cell in cells], np.float32)


def _is_number(cells: Sequence) -> bool:
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "fiu":
        return True
    present = [cell for cell in cells if as_word(cell) != ""]
    return bool(present) and all(not math.isnan(as_number(cell)) for cell in present)


@dataclass(frozen=True)
class Encoding:
    """Typed columns and their statistics, fitted on training rows.

    Attributes:
        numbers, words: names of the number and the category columns.
        vocabularies: of each category column, its words and their codes, commonest first; "" is a word where it was seen.
        median, mean, scale: (C,) of the number columns; gapped: (C,) whether one had a gap.
    """

    numbers: tuple[str, ...]
    words: tuple[str, ...]
    vocabularies: tuple[dict[str, int], ...]
    median: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    gapped: np.ndarray

    @staticmethod
    def fit(columns: Raw) -> Encoding:
        numbers = tuple(name for name, cells in columns.items() if _is_number(cells))
        words = tuple(name for name in columns if name not in numbers)
        vocabularies = []
        for name in words:
            common = sorted(Counter(map(as_word, columns[name])).items(), key=lambda item: (-item[1], item[0]))
            vocabularies.append({word: code for code, (word, _) in enumerate(common[:MOST_WORDS])})
        rows = len(next(iter(columns.values())))
        values = np.stack([_numbers(columns[n]) for n in numbers], axis=1) if numbers else np.zeros((rows, 0), np.float32)
        median = np.nanmedian(values, axis=0) if numbers else np.zeros(0, np.float32)
        filled = np.where(np.isnan(values), median, values).astype(np.float64)
        spread = filled.std(axis=0)
        scale = np.where(spread > 0, 1 / np.where(spread > 0, spread, 1), 0).astype(np.float32)
        mean = filled.mean(axis=0).astype(np.float32)
        return Encoding(numbers, words, tuple(vocabularies), median, mean, scale, np.isnan(values).any(axis=0))

    def values(self, rows: Raw) -> np.ndarray:
        """Number columns (N, C), NaN where missing."""
        count = len(next(iter(rows.values())))
        return np.stack([_numbers(rows[n]) for n in self.numbers], axis=1) if self.numbers else np.zeros((count, 0), np.float32)

    def codes(self, rows: Raw) -> np.ndarray:
        """Codes of the category columns (N, S), -1 where the word is unknown."""
        count = len(next(iter(rows.values())))
        out = np.full((count, len(self.words)), -1, np.int32)
        for s, (name, vocabulary) in enumerate(zip(self.words, self.vocabularies)):
            out[:, s] = [vocabulary.get(as_word(cell), -1) for cell in rows[name]]
        return out

    def one_hot(self, rows: Raw) -> np.ndarray:
        """Category columns as indicators (N, V); an unknown word is all zeros."""
        codes = self.codes(rows)
        parts = [codes[:, s : s + 1] == np.arange(len(v)) for s, v in enumerate(self.vocabularies)]
        return np.concatenate(parts, axis=1).astype(np.float32) if parts else np.zeros((len(codes), 0), np.float32)

    def standardised(self, rows: Raw) -> np.ndarray:
        """For linear models, MLPs and forests: medians in gaps, standardised, a flag for each gapped column, one-hot."""
        values = self.values(rows)
        missing = np.isnan(values)
        numbers = (np.where(missing, self.median, values) - self.mean) * self.scale
        return np.concatenate([numbers, missing[:, self.gapped], self.one_hot(rows)], axis=1, dtype=np.float32)

    def gaps_kept(self, rows: Raw) -> np.ndarray:
        """For XGBoost, which has its own way with gaps: numbers with NaN, one-hot."""
        return np.concatenate([self.values(rows), self.one_hot(rows)], axis=1)

    def native(self, rows: Raw) -> np.ndarray:
        """For LightGBM and HistGradientBoosting: numbers with NaN, then category codes, NaN where unknown."""
        codes = self.codes(rows).astype(np.float32)
        return np.concatenate([self.values(rows), np.where(codes < 0, np.float32(np.nan), codes)], axis=1)

    @property
    def native_categories(self) -> list[int]:
        """Positions of the category codes in `native`."""
        return list(range(len(self.numbers), len(self.numbers) + len(self.words)))

    def frame(self, rows: Raw) -> pd.DataFrame:
        """For CatBoost, which reads words itself: a frame of float columns and string columns."""
        import pandas as pd

        values = self.values(rows)
        numbers = {name: values[:, i] for i, name in enumerate(self.numbers)}
        words = {name: np.array([as_word(cell) for cell in rows[name]], object) for name in self.words}
        return pd.DataFrame({**numbers, **words})
