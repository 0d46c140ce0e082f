"""Neural mechanisms: a linear map, or a small random network with sparse weights and a random activation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from modelgpt_edge.training.priors.laws import log_uniform, normal
from modelgpt_edge.training.priors.table import Floats

ACTIVATIONS: tuple[Callable[[Floats], Floats], ...] = (
    np.tanh,
    lambda x: np.maximum(x, 0),
    np.sin,
    np.abs,
    np.square,
    lambda x: (x > 0).astype(np.float32),
    lambda x: x,
    lambda x: np.log(np.abs(x) + np.float32(0.05)),
    lambda x: np.exp(-np.square(x)),
)


def linear(rng: np.random.Generator, parents: Floats, width: int) -> Floats:
    """Weighted sums of the parents, (N, P) -> (N, width); some weights far larger than others in part of the draws."""
    weights = normal(rng, parents.shape[1], width)
    if rng.random() < 0.5:
        weights *= np.exp(normal(rng, parents.shape[1], width))
    return parents @ weights


def neural(rng: np.random.Generator, parents: Floats, width: int) -> Floats:
    """A network of one or two hidden layers, (N, P) -> (N, width)."""
    hidden = parents
    for _ in range(1 + int(rng.random() < 0.3)):
        units = int(rng.integers(2, 17))
        weights = normal(rng, hidden.shape[1], units)
        weights *= rng.random(weights.shape) < rng.uniform(0.3, 1.0)
        weights *= np.float32(log_uniform(rng, 0.5, 3)) / np.sqrt(np.maximum(np.square(weights).sum(0), np.float32(0.1)))
        reached = hidden @ weights + normal(rng, units)
        half = units if rng.random() < 0.6 else units // 2
        first, second = (ACTIVATIONS[i] for i in rng.integers(0, len(ACTIVATIONS), 2))
        hidden = np.concatenate([first(reached[:, :half]), second(reached[:, half:])], axis=1)
    return hidden @ normal(rng, hidden.shape[1], width)
