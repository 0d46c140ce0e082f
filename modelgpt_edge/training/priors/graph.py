"""Structural causal models: a random graph of latent nodes.

Some nodes become columns and some the target (Hollmann et al. 2023, 2025).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.training.priors.inputs import draw_inputs
from modelgpt_edge.training.priors.laws import log_uniform, noise, pick, standardise, subset
from modelgpt_edge.training.priors.mechanisms import MECHANISMS, WIDEST, respond, watch
from modelgpt_edge.training.priors.table import Floats, Places, World

MOST_PARENTS = 6


def draw_graph(rng: np.random.Generator, rows: int, features: int, width: int, raw: bool, taste: Mapping[str, float]) -> World:
    """A world whose columns are nodes of a random graph.

    Args:
        rng: source of randomness.
        rows: number of rows, N.
        features: number of columns to show, F.
        width: values of the signal, T.
        raw: whether the signal is made of nodes as they are.
        taste: weights of the mechanisms.
    """
    hidden = round(features * rng.uniform(0.1, 0.8))
    nodes, own = _grow(rng, rows, features + hidden + width, taste)
    total = nodes.shape[1]
    levels = np.zeros(features, np.int32)
    late = total - own
    if rng.random() < 0.35 and late >= width:
        # The target is a node like any other: columns may be its causes, its effects, or share causes with it.
        target = own + subset(rng, late, width)
        others = np.setdiff1d(np.arange(total), target)
        return World(nodes[:, others[subset(rng, len(others), features)]], levels, nodes[:, target])
    shown = subset(rng, total, features)
    # Mostly the causes can be seen; in the rest some of them are hidden, and the table is noisy.
    causes = nodes[:, shown] if rng.random() < 0.6 else nodes
    signal = watch(rng, causes, width) if raw else respond(rng, causes, width, taste)
    return World(nodes[:, shown], levels, signal)


def _grow(rng: np.random.Generator, rows: int, total: int, taste: Mapping[str, float]) -> tuple[Floats, int]:
    """All nodes, (N, total), and how many of them are roots; blocks of one to four nodes share parents and a mechanism."""
    own = int(rng.integers(1, max(2, total // 2) + 1))
    nodes = np.empty((rows, total), np.float32)
    nodes[:, :own] = draw_inputs(rng, rows, own)
    degree = np.ones(total)
    style = pick(rng, {"preferential": 0.4, "recent": 0.3, "uniform": 0.3})
    loudness = log_uniform(rng, 0.01, 1.0)
    done = own
    while done < total:
        width = min(int(rng.integers(1, 5)), total - done)
        parents = _parents(rng, degree[:done], style)
        name = pick(rng, taste)
        values = standardise(MECHANISMS[name](rng, nodes[:, parents[: WIDEST[name]]], width))
        values += noise(rng, rows, width) * np.float32(loudness * log_uniform(rng, 0.3, 3))
        nodes[:, done : done + width] = standardise(values)
        degree[parents] += 1
        done += width
    return nodes, own


def _parents(rng: np.random.Generator, degree: NDArray[np.float64], style: str) -> Places:
    """Places of the parents of a block among the nodes so far, with random in-degree."""
    count = min(len(degree), MOST_PARENTS, int(rng.geometric(0.45)))
    if style == "uniform":
        return subset(rng, len(degree), count)
    weight = degree if style == "preferential" else np.exp(-np.arange(len(degree))[::-1] / 5.0)
    # The largest of log-weights plus Gumbel noise are a draw without replacement in proportion to the weights.
    return np.argsort(-(np.log(weight + 1e-30) + rng.gumbel(size=len(degree))))[:count].astype(np.int32)
