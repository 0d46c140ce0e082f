"""The filter: how much of the target a cheap learner leaves unexplained on rows that it didn't see.

Tables without a pattern teach nothing.
"""

from __future__ import annotations

import numpy as np

from modelgpt_edge.training.priors.laws import normal, standardise
from modelgpt_edge.training.priors.table import Drawn, Floats

ROWS = 600
UNITS, STEPS, PAIRS = 64, 32, 64
RIDGES = (1.0, 10.0, 100.0)
# A target of less variance than this on the unseen rows says nothing.
CONSTANT = 1e-6


def unexplained(rng: np.random.Generator, table: Drawn) -> float:
    """Squared error on the second half of the rows over that of the base rates: 1 for no pattern, 0 for a table without noise.

    A ridge solve on encoded columns, random tanh units of up to three of them, random steps, pairs of steps and products.
    """
    keep = rng.permutation(len(table.targets))[:ROWS]
    encoded = encode(table, keep)
    learnt = len(keep) // 2
    hidden = np.concatenate([encoded, _units(rng, encoded), np.ones((len(keep), 1), np.float32)], axis=1)
    target = table.targets[keep]
    wanted = np.eye(table.classes, dtype=np.float32)[target] if table.classes else target[:, None].astype(np.float32)
    base = wanted[:learnt].mean(0)
    wanted = wanted - base
    seen, unseen = hidden[:learnt], hidden[learnt:]
    constant = float(np.square(wanted[learnt:]).mean())
    if constant < CONSTANT:
        return 1.0
    # The dual system is the smaller one: rows are fewer than features in small tables.
    gram = seen @ seen.T if learnt <= hidden.shape[1] else seen.T @ seen
    side = wanted[:learnt] if learnt <= hidden.shape[1] else seen.T @ wanted[:learnt]
    errors = []
    for ridge in RIDGES:
        solved = np.linalg.solve(gram + np.float32(ridge) * np.eye(len(gram), dtype=np.float32), side)
        weights = seen.T @ solved if learnt <= hidden.shape[1] else solved
        errors.append(float(np.square(wanted[learnt:] - unseen @ weights).mean()))
    return min(errors) / constant


def encode(table: Drawn, keep: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Floats:
    """Number columns by rank at unit scale, missing ones in the middle, and categories as flags, (n, D)."""
    numbers = table.numbers[keep]
    ranks = standardise(np.where(np.isnan(numbers), len(keep) // 2, numbers.argsort(0).argsort(0)).astype(np.float32))
    plain = standardise(np.where(np.isnan(numbers), np.nan_to_num(numbers).mean(0), numbers))
    flags = [(table.codes[keep, place, None] == np.arange(size)) for place, size in enumerate(table.sizes)]
    return np.concatenate([plain, ranks, *flags], axis=1).astype(np.float32)


def _units(rng: np.random.Generator, encoded: Floats) -> Floats:
    rows, columns = encoded.shape
    chosen = rng.integers(0, columns, (3, UNITS))
    weights = normal(rng, 3, UNITS) * (np.arange(3)[:, None] <= rng.integers(0, 3, UNITS)) * np.exp(normal(rng, UNITS))
    kinks = encoded[rng.integers(0, rows, UNITS)][np.arange(UNITS)[None, :], chosen].reshape(3, UNITS)
    tanh = np.tanh(((encoded[:, chosen] - kinks) * weights).sum(1))
    column = rng.integers(0, columns, (2, STEPS))
    steps = encoded[:, column] > encoded[rng.integers(0, rows, (2, STEPS)), column]
    # Products of two show what exclusive or hides from every single column.
    products = encoded[:, rng.integers(0, columns, (2, PAIRS))].prod(1)
    return np.concatenate([tanh, steps[:, 0], steps.all(1), np.tanh(products)], axis=1).astype(np.float32)
