"""Interactions of two or three parents: products, ratios, minima, exclusive or, parity, remainders, distances and switches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.training.priors.laws import normal
from modelgpt_edge.training.priors.table import Floats

Interaction = Callable[[np.random.Generator, Floats, Floats, Floats], NDArray[np.floating[Any]]]


def _parity(rng: np.random.Generator, a: Floats, b: Floats, c: Floats) -> Floats:
    return np.sign(a) * np.sign(b) * np.sign(c)


def _remainder(rng: np.random.Generator, a: Floats, b: Floats, c: Floats) -> Floats:
    bins, modulus = np.float32(rng.uniform(0.5, 1.5)), int(rng.integers(2, 5))
    return np.mod(np.floor(a * bins) + np.floor(b * bins), modulus)


def _angle(rng: np.random.Generator, a: Floats, b: Floats, c: Floats) -> Floats:
    return np.arctan2(a, b).astype(np.float32)


INTERACTIONS: tuple[Interaction, ...] = (
    lambda rng, a, b, c: a * b,
    lambda rng, a, b, c: a * b + c,
    lambda rng, a, b, c: a / (np.abs(b) + np.float32(0.3)),
    lambda rng, a, b, c: np.minimum(a, b),
    lambda rng, a, b, c: np.maximum(np.maximum(a, b), c),
    lambda rng, a, b, c: np.sign(a) * np.sign(b),
    _parity,
    _remainder,
    _angle,
    lambda rng, a, b, c: np.square(a) + np.square(b),
    lambda rng, a, b, c: np.abs(a - b),
    lambda rng, a, b, c: np.where(a > 0, b, c),
)


def products(rng: np.random.Generator, parents: Floats, width: int) -> Floats:
    """One interaction for each output, (N, P) -> (N, width).

    Parents are shifted a little, so that signs don't split at the mean alone.
    """
    outputs = []
    for which in rng.integers(0, len(INTERACTIONS), width):
        chosen = rng.permutation(np.arange(max(3, parents.shape[1])) % parents.shape[1])[:3]
        a, b, c = parents[:, chosen].T + np.float32(0.5) * normal(rng, 3, 1)
        outputs.append(INTERACTIONS[which](rng, a, b, c))
    return np.stack(outputs, axis=1).astype(np.float32)
