"""Unlabelled pictures move what names say: directions of classes settle where pictures gather.

A mixture of von Mises-Fisher distributions on the sphere (Banerjee et al. 2005, Clustering on the Unit Hypersphere), by
expectation and maximisation from the names' directions, which stay half of each direction at least.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Floats, softmax
from modelgpt_edge.parameters.likelihood import log_losses
from modelgpt_edge.parameters.text.prior import unit_columns

# Of cosines into logits; what a direction of a name counts, in pictures; the most that pictures count in the end; and rounds.
# Chosen on CIFAR-10, on all its classes and on some, of even and uneven shares, with and without pictures of other classes.
SURE, NAME_COUNTS, MOST, ROUNDS = 10.0, 100.0, 0.5, 8
LEAST = 1e-9


def settled(words: Floats, unlabelled: Floats) -> Floats:
    """Directions (D, K) of classes, moved from those of their names by pictures (U, D).

    The fewer pictures seem to be of a class, the less it moves. All are of unit length, or nil where the names' are.
    """
    spoken = np.linalg.norm(words, axis=0) > 0
    moved = words
    for _ in range(ROUNDS):
        shares = softmax(np.float32(SURE) * (unlabelled @ moved))
        counts = shares.sum(0)
        means = unlabelled.T @ shares / np.maximum(counts, LEAST)
        trust = np.minimum(counts / (counts + NAME_COUNTS), MOST)
        apart = unit_columns(means - means.mean(1, keepdims=True))
        moved = unit_columns((1 - trust) * words + trust * apart) * spoken
    return moved.astype(np.float32)


def settled_where_better(words: Floats, unlabelled: Floats, embedded: Floats, labels: NDArray[np.int32]) -> Floats:
    """The same, or `words` as they are where labelled pictures (N, D) of classes (N,) don't find it likelier.

    Names that say nothing of pictures settle anywhere, and labelled pictures tell; without any, names are all that is known.
    """
    moved = settled(words, unlabelled)
    if not len(labels):
        return moved
    before, after = (log_losses(np.float32(SURE) * (embedded @ each), labels).mean() for each in (words, moved))
    return moved if after < before else words
