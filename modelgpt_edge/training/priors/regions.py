"""The ways in which a signal is cut into classes, from ordered bins to rule lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from modelgpt_edge.training.priors.laws import log_uniform, normal, shares
from modelgpt_edge.training.priors.table import Floats, Places
from modelgpt_edge.training.priors.trees import route

# Takes the source of randomness, the signal (N, T) and K; gives places of classes (N,), of which some may be empty.
Way = Callable[[np.random.Generator, Floats, int], Places]


def draw_shares(rng: np.random.Generator, classes: int) -> Floats:
    """Wanted shares of the classes, (K,): even, mildly or strongly uneven."""
    return shares(rng, classes, float(rng.choice((30.0, 5.0, 1.2), p=(0.4, 0.35, 0.25))), 0.04)


def group(rng: np.random.Generator, places: Places | Floats, classes: int, ordered: bool = False) -> Places:
    """Classes for the groups that rows fall into, (N,) -> (N,): each class takes one group at least where there are as many.

    Args:
        rng: source of randomness.
        places: group of each row, (N,); rows of equal value are one group.
        classes: K.
        ordered: whether a class takes neighbouring groups; otherwise groups are dealt at random.
    """
    _, inverse, counts = np.unique(places, return_inverse=True, return_counts=True)
    if ordered:
        reached = (np.cumsum(counts) - 0.5 * counts) / counts.sum()
        return np.searchsorted(np.cumsum(draw_shares(rng, classes))[:-1], reached)[inverse].astype(np.int32)
    dealt = np.searchsorted(np.cumsum(draw_shares(rng, classes))[:-1], rng.random(len(counts)))
    largest = np.argsort(-counts, kind="stable")[:classes]
    dealt[largest] = rng.permutation(classes)[: len(largest)]
    return dealt[inverse].astype(np.int32)


def ordered(rng: np.random.Generator, signal: Floats, classes: int) -> Places:
    """Bins of the first value at random quantiles."""
    return group(rng, signal[:, 0], classes, ordered=True)


def stripes(rng: np.random.Generator, signal: Floats, classes: int) -> Places:
    """More bins of the first value than classes, dealt at random: a class may hold several stretches."""
    bins = classes + int(rng.integers(1, 3 if classes < 5 else 5))
    bounds = np.quantile(signal[:, 0], np.cumsum(shares(rng, bins, 3.0, 0.03))[:-1])
    return group(rng, np.searchsorted(bounds, signal[:, 0]).astype(np.int32), classes)


def strongest(rng: np.random.Generator, signal: Floats, classes: int) -> Places:
    """The largest of K values, shifted so that the classes come near their wanted shares."""
    return _balanced(rng, signal[:, :classes].copy(), classes)


def sampled(rng: np.random.Generator, signal: Floats, classes: int) -> Places:
    """As `strongest`, but drawn from the softmax of the values: what a logistic model assumes."""
    sharp = np.float32(log_uniform(rng, 0.7, 6))
    return _balanced(rng, sharp * signal[:, :classes] + rng.gumbel(size=(len(signal), classes)).astype(np.float32), classes)


def _balanced(rng: np.random.Generator, scores: Floats, classes: int) -> Places:
    wanted = draw_shares(rng, classes)
    for _ in range(4):
        taken = np.bincount(scores.argmax(1), minlength=classes) / len(scores)
        scores += np.log((wanted + 0.01) / (taken + 0.01)).astype(np.float32) * np.float32(0.7)
    return scores.argmax(1).astype(np.int32)


def prototypes(rng: np.random.Generator, signal: Floats, classes: int) -> Places:
    """The nearest of K to 3 K prototypes, each of a random class."""
    centres = signal[rng.integers(0, len(signal), int(rng.integers(classes, 3 * classes + 1)))]
    centres = centres + np.float32(0.1) * normal(rng, *centres.shape)
    distance = np.square(centres).sum(1) - 2 * signal @ centres.T
    return group(rng, distance.argmin(1).astype(np.int32), classes)


def leaves(rng: np.random.Generator, signal: Floats, classes: int) -> Places:
    """The leaves of one random tree, each of a random class."""
    depth = int(rng.integers(max(1, (classes - 1).bit_length()), 6))
    return group(rng, route(rng, signal, 1, depth, bool(rng.random() < 0.3))[:, 0].astype(np.int32), classes)


def first_rule(rng: np.random.Generator, signal: Floats, classes: int) -> Places:
    """The first rule that holds of a list; each asks one to three values to lie above or below a bound."""
    fired = np.zeros(len(signal), np.int32)
    for place in range(classes + int(rng.integers(0, 5)), 0, -1):
        count = int(rng.integers(1, 4))
        column = rng.integers(0, signal.shape[1], count)
        bound = signal[rng.integers(0, len(signal), count), column]
        fired[((signal[:, column] > bound) ^ (rng.random(count) < 0.5)).all(1)] = place
    return group(rng, fired, classes)


def remainders(rng: np.random.Generator, signal: Floats, classes: int) -> Places:
    """The sum of the values' bins, modulo K: exclusive or for two classes."""
    used = signal[:, : int(rng.integers(1, 4))]
    bins = np.floor(used * np.float32(rng.uniform(0.4, 0.9)) + rng.random(used.shape[1], dtype=np.float32))
    return np.mod(bins.sum(1), classes).astype(np.int32)


WAYS: Mapping[str, Way] = {
    "ordered": ordered,
    "stripes": stripes,
    "strongest": strongest,
    "sampled": sampled,
    "prototypes": prototypes,
    "leaves": leaves,
    "first rule": first_rule,
    "remainders": remainders,
}
