"""What benches of our own children share: rows typed as the product types them, and differences paired over sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from datasets import Dataset, split

if TYPE_CHECKING:
    from modelgpt_edge.data.table import Rows, Table

METRICS = (("auc", "AUC"), ("accuracy", "accuracy"), ("log_loss", "log loss"))
BOOTSTRAPS = 10_000
DIFFERENCES = (
    "Differences: means over sets, a bootstrap interval, and p of the two-sided Wilcoxon signed-rank test, both over sets."
)


def typed_split(dataset: Dataset, seed: int) -> tuple[Table, Rows]:
    """The training half of a split as the product reads it, and the rows of the test half by the same schema."""
    from modelgpt_edge.data.table import read_rows
    from modelgpt_edge.request import Request
    from modelgpt_edge.table_pipeline import understand

    train, test = (dataset.take(rows) for rows in split(dataset, seed))
    table = understand(Request("predict the label", train, dataset.label, "classification", None, ("x86",), seed)).table
    return table, read_rows(test, table.schema)


def set_means(rows: list[dict], key: str, **wanted: object) -> np.ndarray:
    """Means over seeds (sets,) of the rows that have what is wanted, sets in the order of all rows."""
    mine = [r for r in rows if all(r[name] == value for name, value in wanted.items())]
    return np.array([np.mean([r[key] for r in mine if r["set"] == name]) for name in dict.fromkeys(r["set"] for r in rows)])


def interval(values: np.ndarray) -> tuple[float, float]:
    """95 % bootstrap interval of the mean of values (sets,)."""
    drawn = np.random.default_rng(0).choice(values, (BOOTSTRAPS, len(values))).mean(1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def difference(values: np.ndarray) -> str:
    """Differences (sets,) as a cell: mean, interval and p."""
    from scipy.stats import wilcoxon

    low, high = interval(values)
    p = wilcoxon(values).pvalue if np.abs(values).max() > 0 else 1.0
    return f"{values.mean():+.4f} [{low:+.4f}, {high:+.4f}], {p:.2g}"
