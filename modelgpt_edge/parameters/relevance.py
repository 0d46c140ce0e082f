"""How much each encoded column tells about the label on its own, and more of those that the task's text names."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from modelgpt_edge.child import Floats

BINS = 8
# Rows that the quantiles are taken from, evenly spaced: bins needn't be exact, and sorting is what takes the time.
QUANTILE_ROWS = 2_000
# Rows of evidence that a column's being named in the task is worth.
NAMED_ROWS = 128


def relevance(encoded: Floats, targets: Floats) -> Floats:
    """Univariate relevance of encoded columns, (D,), summing to one.

    The chi-square statistic of 8 quantile bins against the classes (for regression: rows times the share of the
    variance that the bins explain, its analogue), plus a tenth of its mean, so that no column is ever ruled out.

    Args:
        encoded: (N, D).
        targets: one-hot classes (N, K), or standardised values (N, 1).
    """
    rows = len(encoded)
    few = encoded[:: max(1, rows // QUANTILE_ROWS)]
    edges = np.quantile(few, np.linspace(0, 1, BINS + 1)[1:-1], axis=0).astype(np.float32)  # (7, D)
    centred = targets - targets.mean(0)
    # chi-square = sum over bins b and classes k of (observed - expected)^2 / expected, and observed - expected is the
    # sum of the centred indicators in the bin: so bins are walked by differences of cumulative sums.
    below = np.zeros((BINS + 1, *centred.T.shape[:1], encoded.shape[1]), np.float32)  # (9, K, D)
    count = np.zeros((BINS + 1, encoded.shape[1]), np.float32)
    for b in range(BINS - 1):
        mask = (encoded <= edges[b]).astype(np.float32)
        below[b + 1] = centred.T @ mask
        count[b + 1] = mask.sum(0)
    count[BINS] = rows
    excess, size = np.diff(below, axis=0), np.diff(count, axis=0)  # (8, K, D), (8, D)
    share = np.maximum((targets**2).mean(0), 1e-12)  # class share; 1 for standardised values
    statistic = (excess**2 / (np.maximum(size, 1)[:, None] * share[None, :, None])).sum((0, 1))
    floored = statistic + 0.1 * statistic.mean() + 1e-12
    return (floored / floored.sum()).astype(np.float32)


def favour(weight: Floats, owners: Sequence[str], named: Collection[str], rows: int) -> Floats:
    """Relevance (D,) with that of named columns raised by ``1 + NAMED_ROWS / rows``, summing to one again.

    What a person knows beforehand counts while rows are few, and fades as they tell for themselves.

    Args:
        weight: relevance (D,) found on `rows` rows; owners: the raw column behind each; named: raw columns.
    """
    if not named:
        return weight
    raised = weight * np.where([owner in named for owner in owners], np.float32(1 + NAMED_ROWS / rows), np.float32(1))
    return (raised / raised.sum()).astype(np.float32)
