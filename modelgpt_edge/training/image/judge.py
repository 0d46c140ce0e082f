"""How much a trunk is worth: heads solved on few pictures of the part that it never learnt from, beside heads on bare pixels.

The photographs' classes are those of the training, so this tells a good training from a bad one, not how well the trunk does on
things that it never saw: `bench/` measures that on other sets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from modelgpt_edge.architecture.image.trunk import Trunk
from modelgpt_edge.child import Floats
from modelgpt_edge.parameters.ridge import classification_head, decompose
from modelgpt_edge.training.image.pictures import Pictures

# Pictures of a class, draws of them, and the most pictures that are asked.
SHOTS, DRAWS, ASKED = (5, 20), 3, 2000


@dataclass(frozen=True)
class ShotScore:
    """Balanced accuracy at so many pictures a class, mean over draws, on the trunk's features and on pixels."""

    shots: int
    trunk: float
    pixels: float

    def line(self) -> str:
        """For people."""
        return f"{self.shots} pictures a class: {100 * self.trunk:.1f} % by the trunk, {100 * self.pixels:.1f} % by pixels"


class Judge:
    """Pictures to judge by, and what heads on pixels do there."""

    def __init__(self, kept: Pictures, seed: int) -> None:
        self._draws = []
        for shots in SHOTS:
            for number in range(DRAWS):
                learnt, asked = _draw(kept.labels, shots, np.random.default_rng([seed, shots, number]))
                self._draws.append((shots, learnt, asked))
        self._kept = kept
        self._used = np.unique(np.concatenate([part for _, *parts in self._draws for part in parts]))
        pixels = kept.levels[self._used].reshape(len(self._used), -1).astype(np.float32) / 255
        self._pixels = self._accuracies(pixels)

    def scores(self, trunk: Trunk) -> tuple[ShotScore, ...]:
        """What a trunk is worth at each number of pictures."""
        own = self._accuracies(trunk.features(self._kept.levels[self._used]))
        return tuple(ShotScore(shots, own[shots], self._pixels[shots]) for shots in SHOTS)

    def _accuracies(self, features: Floats) -> dict[int, float]:
        """Balanced accuracy by number of pictures, of features (M, D) of all pictures that are used."""
        found: dict[int, list[float]] = {}
        for shots, learnt, asked in self._draws:
            support, queries = (features[np.searchsorted(self._used, places)] for places in (learnt, asked))
            right = balanced_accuracy(support, self._kept.labels[learnt], queries, self._kept.labels[asked])
            found.setdefault(shots, []).append(right)
        return {shots: float(np.mean(own)) for shots, own in found.items()}


def balanced_accuracy(support: Floats, labels: NDArray[np.int64], queries: Floats, truth: NDArray[np.int64]) -> float:
    """Mean over classes of the share of queries that a ridge head is right on, tuned by leave-one-out on the support."""
    targets = np.eye(int(labels.max()) + 1, dtype=np.float32)[labels]
    with threadpool_limits(1, "blas"):
        problem = decompose(support, targets)
        head = classification_head(problem)
        weight, bias = problem.weights(head.coordinates, head.offset)
        found = (queries @ weight + bias).argmax(1)
    return float(np.mean([(found[truth == k] == k).mean() for k in np.unique(truth)]))


def _draw(labels: NDArray[np.int64], shots: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the pictures to learn from, as many of each class, and of those to ask."""
    order = rng.permutation(len(labels))
    learnt = np.concatenate([order[labels[order] == k][:shots] for k in np.unique(labels)])
    return learnt, np.setdiff1d(order, learnt)[rng.permutation(len(order) - len(learnt))[:ASKED]]
