"""The random laws that every mechanism of the prior draws from, and the standard scale that values return to."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from modelgpt_edge.training.priors.table import Floats, Places

# Latent values beyond this many deviations are cut: powers and ratios of them would swamp every other row.
LARGEST = 8.0


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A value whose logarithm is uniform between those of `low` and `high`."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def pick(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    """A key of `weights`, drawn in proportion to its weight."""
    left = rng.random() * sum(weights.values())
    for name, weight in weights.items():
        left -= weight
        if left < 0:
            return name
    return next(reversed(list(weights)))


def normal(rng: np.random.Generator, *shape: int) -> Floats:
    """Standard normal float32 values of a shape."""
    return rng.standard_normal(shape, dtype=np.float32)


def subset(rng: np.random.Generator, total: int, count: int) -> Places:
    """`count` different places below `total`, in random order."""
    return rng.permutation(total)[:count].astype(np.int32)


def standardise(values: Floats) -> Floats:
    """Columns of (N, D) at mean 0 and deviation 1, cut at `LARGEST`; a constant column becomes 0."""
    centred = values - values.mean(0)
    spread = np.sqrt(np.square(centred).mean(0))
    scaled = centred / np.maximum(spread, np.float32(1e-5))
    return np.clip(scaled, -LARGEST, LARGEST).astype(np.float32, copy=False)


def noise(rng: np.random.Generator, *shape: int) -> Floats:
    """Noise of about unit deviation and of a random law: normal, uniform, Laplace, Student or skewed."""
    law = pick(rng, {"normal": 0.5, "uniform": 0.15, "laplace": 0.15, "student": 0.1, "skewed": 0.1})
    if law == "uniform":
        return ((rng.random(shape, dtype=np.float32) - 0.5) * 3.46).astype(np.float32)
    if law == "laplace":
        return (rng.laplace(size=shape) / 1.41).astype(np.float32)
    if law == "student":
        return np.clip(rng.standard_t(3, size=shape) / 1.73, -LARGEST, LARGEST).astype(np.float32)
    if law == "skewed":
        return (rng.standard_exponential(shape, dtype=np.float32) - 1).astype(np.float32)
    return normal(rng, *shape)


def shares(rng: np.random.Generator, count: int, evenness: float, least: float) -> Floats:
    """Shares of `count` groups that sum to 1, (count,): Dirichlet draws above a `least` share each.

    Args:
        rng: source of randomness.
        count: number of groups.
        evenness: the Dirichlet's concentration; large for even groups.
        least: smallest share, cut to 0.9 / count.
    """
    least = min(least, 0.9 / count)
    drawn = rng.standard_gamma(evenness, size=count) + 1e-9
    return (least + (1 - least * count) * drawn / drawn.sum()).astype(np.float32)
