"""Golden rows: real rows and hard ones, with the reference's outputs, that travel in the package."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Child, Encoder, Ints
from modelgpt_edge.data.table import Rows
from modelgpt_edge.golden import Golden

REAL_ROWS = 64
HUGE = np.float32(3e38)


def golden_rows(child: Child, rows: Rows) -> Golden:
    """Up to 64 rows of the table, evenly spaced, then rows of zeros, gaps, extremes, infinities and unknown words."""
    pick = np.unique(np.linspace(0, len(rows) - 1, min(REAL_ROWS, len(rows))).astype(np.intp))
    encoder = child.encoder
    numbers, _ = encoder.pack(rows.numbers, rows.words, len(rows))
    columns = [rows.words[w] for w in encoder.words]
    with np.errstate(all="ignore"):
        finite = np.where(np.isfinite(numbers), numbers, np.nan)
        low = np.nan_to_num(np.fmin.reduce(finite, axis=0, initial=np.inf), posinf=0)
        high = np.nan_to_num(np.fmax.reduce(finite, axis=0, initial=-np.inf), neginf=0)
    width = len(encoder.numbers)
    hard = [
        np.zeros(width),
        np.full(width, np.nan),
        low,
        high,
        np.full(width, -HUGE),
        np.full(width, HUGE),
        np.full(width, np.inf),
        np.full(width, -np.inf),
    ]
    unknown = ["", "", "\u2603 never seen", *("" for _ in hard[3:])]
    all_numbers = np.concatenate([numbers[pick], np.array(hard, np.float32).reshape(len(hard), width)]).astype(np.float32)
    all_words = [np.concatenate([column[pick], np.array(unknown, object)]) for column in columns]
    word_rows: NDArray[np.object_] = np.stack(all_words, axis=1) if all_words else np.zeros((len(all_numbers), 0), object)
    unit = 1.0 if child.classes else float(np.std(rows.labels)) or 1.0
    outputs = child.outputs(encoder.encode(all_numbers, golden_codes(encoder, word_rows)))
    return Golden(all_numbers, word_rows, outputs, unit)


def golden_codes(encoder: Encoder, words: NDArray[np.object_]) -> Ints:
    """Word codes (N, S) of golden words (N, S)."""
    return encoder.codes(list(words.T)) if encoder.words else np.zeros((len(words), 0), np.int32)
