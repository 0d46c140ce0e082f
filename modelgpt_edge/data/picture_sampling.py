"""Which pictures of a large set are read: a sample of every class, the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Pictures that a small class keeps, where there is room, before the rest is shared out in proportion.
KEPT = 20


def sample_by_class(labels: Sequence[str | None], most: int, seed: int) -> NDArray[np.intp]:
    """Places of at most `most` of N labels, in order; None counts as a class of its own.

    Classes are drawn from in proportion to their sizes, but a small one keeps up to 20, or its equal share where `most` isn't
    enough for that.
    """
    if len(labels) <= most:
        return np.arange(len(labels))
    groups: dict[str | None, list[int]] = {}
    for place, label in enumerate(labels):
        groups.setdefault(label, []).append(place)
    draw = np.random.default_rng(seed)
    wanted = _shares(np.array([len(places) for places in groups.values()]), most)
    taken = [draw.choice(places, count, replace=False) for places, count in zip(groups.values(), wanted)]
    return np.sort(np.concatenate(taken)).astype(np.intp)


def _shares(sizes: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """How many are taken of each class of (K,) sizes, whose sum is more than `most`; their sum is `most`."""
    least = np.minimum(sizes, min(KEPT, most // len(sizes)))
    exact = (sizes - least) * ((most - least.sum()) / (sizes - least).sum())
    shares = least + np.floor(exact).astype(np.intp)
    rest = most - int(shares.sum())  # by largest remainder; the first of equals
    shares[np.argsort(-(exact % 1), kind="stable")[:rest]] += 1
    return shares
