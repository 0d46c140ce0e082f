"""Root causes: the values that a world starts from, independent or correlated, smooth, clustered or heavy-tailed."""

from __future__ import annotations

import numpy as np

from modelgpt_edge.training.priors.laws import log_uniform, noise, normal, pick, standardise
from modelgpt_edge.training.priors.table import Floats

LAWS = {"normal": 0.25, "correlated": 0.3, "uniform": 0.15, "clusters": 0.15, "skewed": 0.05, "mixed": 0.1}


def draw_inputs(rng: np.random.Generator, rows: int, count: int) -> Floats:
    """Values of mean 0 and deviation 1 of one law or several, (rows, count)."""
    law = pick(rng, LAWS)
    if law == "mixed":
        values = np.concatenate([_draw(rng, pick(rng, LAWS), rows, (count + part) // 3) for part in range(3)], axis=1)
        return standardise(values[:, rng.permutation(count)])
    return standardise(_draw(rng, law, rows, count))


def _draw(rng: np.random.Generator, law: str, rows: int, count: int) -> Floats:
    if law == "uniform":
        return rng.random((rows, count), dtype=np.float32)
    if law == "correlated":
        # Few common factors and an own part each, as measurements of one body or one flower have.
        factors = int(rng.integers(1, max(2, min(count, 6)) + 1))
        common = noise(rng, rows, factors) @ normal(rng, factors, count)
        return (common + normal(rng, rows, count) * np.float32(log_uniform(rng, 0.1, 3))).astype(np.float32)
    if law == "clusters":
        clusters = int(rng.integers(2, 9))
        centres = normal(rng, clusters, count) * np.float32(log_uniform(rng, 0.5, 4))
        widths = np.exp(0.5 * normal(rng, clusters, count))
        member = rng.integers(0, clusters, rows)
        return (centres[member] + widths[member] * normal(rng, rows, count)).astype(np.float32)
    if law == "skewed":
        return np.exp(normal(rng, rows, count) * np.float32(rng.uniform(0.2, 1.0))).astype(np.float32)
    return noise(rng, rows, count)
