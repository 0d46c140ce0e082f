"""Tables of categories alone, decided by rules, as games and expert systems have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from modelgpt_edge.training.priors.laws import normal, shares, standardise, subset
from modelgpt_edge.training.priors.regions import group
from modelgpt_edge.training.priors.table import Places, World

Rule = Callable[[np.random.Generator, Places, Places], Places]


def look_up(rng: np.random.Generator, levels: Places, sizes: Places) -> Places:
    """The joint level of two to four columns, of as many as leave some rows for each cell."""
    joint, cells = np.zeros(len(levels), np.int64), 1
    for column in subset(rng, len(sizes), int(rng.integers(2, 5))):
        if cells > 1 and cells * sizes[column] > len(levels) // 5:
            break
        joint, cells = joint * sizes[column] + levels[:, column], cells * int(sizes[column])
    return joint.astype(np.int32)


def points(rng: np.random.Generator, levels: Places, sizes: Places) -> Places:
    """The sum of points for each level, in rank order, cut to 40 steps: what a scoring sheet does."""
    total = np.zeros(len(levels), np.float32)
    for column in subset(rng, len(sizes), int(rng.integers(2, 9))):
        worth = normal(rng, sizes[column])
        total += (np.sort(worth) if rng.random() < 0.5 else worth)[levels[:, column]]
    return np.searchsorted(np.quantile(total, np.linspace(0, 1, 41)[1:-1]), total).astype(np.int32)


def first_rule(rng: np.random.Generator, levels: Places, sizes: Places) -> Places:
    """The place of the first rule that holds, each of one to three conditions `column = level` or `column != level`."""
    fired = np.zeros(len(levels), np.int32)
    count = int(rng.integers(2, 10))
    for place in range(count, 0, -1):
        columns = subset(rng, len(sizes), int(rng.integers(1, 4)))
        equal = levels[:, columns] == rng.integers(0, sizes[columns])
        fired[(equal ^ (rng.random(len(columns)) < 0.3)).all(1)] = place
    return fired


def how_many(rng: np.random.Generator, levels: Places, sizes: Places) -> Places:
    """How many of some columns are at a level of their own, as in the second of the monks' problems."""
    columns = subset(rng, len(sizes), int(rng.integers(3, 8)))
    return (levels[:, columns] == rng.integers(0, sizes[columns])).sum(1).astype(np.int32)


def equal_columns(rng: np.random.Generator, levels: Places, sizes: Places) -> Places:
    """Which of one to three pairs of columns have the same level, as in the first of the monks' problems."""
    same = np.zeros(len(levels), np.int32)
    for _ in range(int(rng.integers(1, 4))):
        first, second = subset(rng, len(sizes), 2) if len(sizes) > 1 else (0, 0)
        same = 2 * same + (levels[:, first] == levels[:, second])
    return same


def lines(rng: np.random.Generator, levels: Places, sizes: Places) -> Places:
    """Which line of two or three columns is first complete, as in noughts and crosses."""
    fired = np.zeros(len(levels), np.int32)
    value = rng.integers(0, 2)
    for place in range(int(rng.integers(2, 9)), 0, -1):
        columns = subset(rng, len(sizes), int(rng.integers(2, 4)))
        fired[(levels[:, columns] == value).all(1)] = place
    # Won or not won: which line it was is rarely asked.
    return np.minimum(fired, 1) if rng.random() < 0.7 else fired


RULES: Mapping[str, Rule] = {
    "look up": look_up,
    "points": points,
    "first rule": first_rule,
    "how many": how_many,
    "equal columns": equal_columns,
    "lines": lines,
}


def draw_rules(rng: np.random.Generator, rows: int, features: int, classes: int) -> World:
    """A world of `features` columns with few levels and of labels that one rule decides."""
    most = 3 if rng.random() < 0.6 else 6
    alike = rng.random() < 0.4
    sizes = (np.full(features, rng.integers(2, most + 1)) if alike else rng.integers(2, most + 1, features)).astype(np.int32)
    evenness = 50.0 if rng.random() < 0.5 else 2.0
    levels = np.empty((rows, features), np.int32)
    common = rng.random(rows)
    tied = rng.uniform(0, 0.5) if rng.random() < 0.3 else 0.0
    for column, size in enumerate(sizes):
        # Columns that share a part of their draws are correlated.
        where = np.where(rng.random(rows) < tied, common, rng.random(rows))
        levels[:, column] = np.searchsorted(np.cumsum(shares(rng, size, evenness, 0.05))[:-1], where)
    name = list(RULES)[int(rng.integers(0, len(RULES)))]
    places = RULES[name](rng, levels, sizes)
    ordered = name in ("points", "how many") and bool(rng.random() < 0.7)
    values = levels.astype(np.float32)
    return World(values, sizes, standardise(values[:, :1]), group(rng, places, classes, ordered))
