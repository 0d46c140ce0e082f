"""How large the prior's tables are, and how many classes they have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelgpt_edge.training.priors.laws import log_uniform

ROWS, COLUMNS, CLASSES = (64, 2000), (4, 60), 10
REGRESSION = 0.125


@dataclass(frozen=True)
class Sizes:
    """Rows, columns and classes of a table; 0 classes for regression."""

    rows: int
    columns: int
    classes: int


def draw_sizes(
    rng: np.random.Generator, rows: tuple[int, int] = ROWS, columns: tuple[int, int] = COLUMNS, regression: float = REGRESSION
) -> Sizes:
    """Draw the sizes of a table: rows and columns log-uniform, two classes in about half of the tables.

    Args:
        rng: source of randomness.
        rows: fewest and most rows.
        columns: fewest and most columns.
        regression: share of tables with a value for a target.
    """
    count = min(rows[1], round(log_uniform(rng, rows[0], rows[1] + 0.5)))
    width = min(columns[1], round(log_uniform(rng, columns[0], columns[1] + 0.5)))
    if rng.random() < regression:
        return Sizes(count, width, 0)
    # Twelve rows a class at the least: fewer teach chance.
    most = max(2, min(CLASSES, count // 12))
    classes = 2 if rng.random() < 0.55 else min(most, 2 + int(rng.geometric(0.35)))
    return Sizes(count, width, classes)
