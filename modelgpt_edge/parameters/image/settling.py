"""Unlabelled pictures move what names say: directions of classes settle where pictures gather.

A mixture of von Mises-Fisher distributions on the sphere (Banerjee et al. 2005, Clustering on the Unit Hypersphere), by
expectation and maximisation from the names' directions, which stay half of each direction at least.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Floats
from modelgpt_edge.parameters.likelihood import log_losses

# Of cosines into logits; what a direction of a name counts, in pictures; the most that pictures count in the end; and rounds.
# Chosen on CIFAR-10, on all its classes and on some, of even and uneven shares, with and without pictures of other classes.
SURE, NAME_COUNTS, MOST, ROUNDS = 10.0, 100.0, 0.5, 8
LEAST = 1e-9


def settled(words: Floats, unlabelled: Floats) -> Floats:
    """Directions (D, K) of classes, moved from those of their names by pictures (U, D).

    The fewer pictures seem to be of a class, the less it moves. All are of unit length, or nil where the names' are.
    """
    names = words.T
    spoken = np.linalg.norm(names, axis=1, keepdims=True) > 0
    rows = names
    for _ in range(ROUNDS):
        shares = _shares(unlabelled @ rows.T)
        counts = shares.sum(0)[:, None]
        means = shares.T @ unlabelled / np.maximum(counts, LEAST)
        trust = np.minimum(counts / (counts + NAME_COUNTS), MOST)
        rows = _unit((1 - trust) * names + trust * _unit(means - means.mean(0))) * spoken
    return rows.T.astype(np.float32)


def settled_where_better(words: Floats, unlabelled: Floats, embedded: Floats, labels: NDArray[np.int32]) -> Floats:
    """The same, or `words` as they are where labelled pictures (N, D) of classes (N,) don't find it likelier.

    Names that say nothing of pictures settle anywhere, and labelled pictures tell; without any, names are all that is known.
    """
    moved = settled(words, unlabelled)
    if not len(labels):
        return moved
    before, after = (log_losses(np.float32(SURE) * (embedded @ each), labels).mean() for each in (words, moved))
    return moved if after < before else words


def _shares(cosines: Floats) -> Floats:
    """How likely pictures are of each class, (U, K)."""
    raised = np.exp(SURE * (cosines - cosines.max(1, keepdims=True)))
    shares: Floats = raised / raised.sum(1, keepdims=True)
    return shares


def _unit(rows: Floats) -> Floats:
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), LEAST)
    unit: Floats = rows / lengths
    return unit
