"""Tree mechanisms: random axis-aligned trees, one or a forest, whose leaves hold random values.

They bring the sharp boundaries.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.training.priors.laws import normal
from modelgpt_edge.training.priors.table import Floats


def route(rng: np.random.Generator, parents: Floats, trees: int, depth: int, oblivious: bool) -> NDArray[np.intp]:
    """The leaf that each row falls into, (N, trees), places below 2 ** depth.

    Args:
        rng: source of randomness.
        parents: values that splits look at, (N, P).
        trees: number of trees.
        depth: splits on the way to a leaf.
        oblivious: whether all nodes of a level share one split; otherwise each node has its own.
    """
    rows, inputs = parents.shape
    place = np.zeros((rows, trees), np.intp)
    which = np.arange(trees)
    for level in range(depth):
        nodes = 1 if oblivious else 2**level
        column = rng.integers(0, inputs, (nodes, trees))
        threshold = parents[rng.integers(0, rows, (nodes, trees)), column]
        if oblivious:
            right = parents[:, column[0]] > threshold[0]
        else:
            right = np.take_along_axis(parents, column[place, which], axis=1) > threshold[place, which]
        place = 2 * place + right
    return place


def trees(rng: np.random.Generator, parents: Floats, width: int) -> Floats:
    """Sums over 1 to 8 trees of depth 1 to 6, (N, P) -> (N, width)."""
    count = 1 if rng.random() < 0.5 else int(rng.integers(2, 9))
    depth = int(rng.integers(1, 7))
    leaves = route(rng, parents, count, depth, bool(rng.random() < 0.5))
    values = normal(rng, count, 2**depth, width)
    return values[np.arange(count), leaves].sum(1)
