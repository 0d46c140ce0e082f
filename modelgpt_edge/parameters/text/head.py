"""A multinomial logistic head whose prior mean is what words alone say: evidence moves it as far as it is worth.

It minimises  -sum_i log p_i(y_i) + lambda / 2 ||W - s P||^2  to convergence, P the directions of the classes' words, on
embeddings less their mean. Strength (lambda) and scale (s) come from held-out likelihood where every class has some examples;
below that held-out examples mislead, for the class left out is served by its name alone, and they are fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.parameters.logistic import TOLERANCE, solve_logistic
from modelgpt_edge.parameters.text.prior import unit_columns
from modelgpt_edge.text_head import TextHead

# Below this share of the largest eigenvalue a direction is rounding noise.
NOISE = 1e-7
# Held-out heads only rank strengths: they may stop sooner than the one that ships.
ROUGH = 1e-3


@dataclass(frozen=True)
class Strength:
    """How far examples may move a head: scale s of the prior's logits, and penalty lambda."""

    scale: float
    penalty: float


@dataclass(frozen=True)
class Examples:
    """Embeddings in the coordinates of their spectrum: what heads of every strength are solved in.

    Attributes:
        coordinates: (N, R) of the centred embeddings; directions: (D, R).
        mean: (D,) that was taken off.
        targets: one-hot (N, K).
    """

    coordinates: Floats
    directions: Floats
    mean: Floats
    targets: Floats

    @staticmethod
    def of(embeddings: Floats, labels: NDArray[np.int32], classes: int) -> Examples:
        """Examples of embeddings (N, D) and class positions (N,)."""
        mean = embeddings.mean(0)
        centred = embeddings - mean
        if len(centred) < centred.shape[1]:
            squared, left = np.linalg.eigh((centred @ centred.T).astype(np.float64))
            keep = squared > squared[-1] * NOISE
            directions = (centred.T @ left[:, keep]) / np.sqrt(squared[keep])
        else:
            squared, every = np.linalg.eigh((centred.T @ centred).astype(np.float64))
            directions = every[:, squared > squared[-1] * NOISE]
        directions = np.ascontiguousarray(directions, np.float32)
        return Examples(centred @ directions, directions, mean, np.eye(classes, dtype=np.float32)[labels])

    @staticmethod
    def with_words(embeddings: Floats, labels: NDArray[np.int32], prior: Floats) -> Examples:
        """Examples of some classes; one without any has its words (D, K) for one, or its intercept would rule it out."""
        classes = prior.shape[1]
        empty = np.setdiff1d(np.arange(classes, dtype=np.int32), labels)
        return Examples.of(np.concatenate([embeddings, prior.T[empty]]), np.concatenate([labels, empty]), classes)

    def solve(self, prior: Floats, strength: Strength, tolerance: float = TOLERANCE) -> TextHead:
        """The head under a prior of words (D, K); tolerance as in `solve_logistic`."""
        mean_weight = np.float32(strength.scale) * centred_prior(prior)
        offset = self.coordinates @ (self.directions.T @ mean_weight)
        start = np.zeros((self.coordinates.shape[1] + 1, self.targets.shape[1]), np.float32)
        solved = solve_logistic(self.coordinates, self.targets, strength.penalty, start, tolerance, offset=offset)
        weight = mean_weight + self.directions @ solved[:-1]
        return TextHead(weight, solved[-1] - self.mean @ weight)


def centred_prior(prior: Floats) -> Floats:
    """Directions (D, K) less their mean: centred embeddings tell classes apart by what their names don't share."""
    return unit_columns(prior - prior.mean(1, keepdims=True))


def split_stratified(labels: NDArray[np.int32], folds: int, seed: int) -> Ints:
    """Fold of each example (N,), every class spread evenly over them."""
    rng = np.random.default_rng(seed)
    fold = np.empty(len(labels), np.int32)
    for k in np.unique(labels):
        mine = rng.permutation(np.flatnonzero(labels == k))
        fold[mine] = (np.arange(len(mine)) + rng.integers(folds)) % folds
    return fold


def held_out_logits(
    embeddings: Floats, labels: NDArray[np.int32], prior: Floats, strengths: Sequence[Strength], fold: Ints
) -> Floats:
    """Logits (S, N, K) of every example by heads of each strength that never saw it.

    A class whose examples are all held out has its words for one.
    """
    logits = np.empty((len(strengths), len(labels), prior.shape[1]), np.float32)
    for f in np.unique(fold):
        out = fold == f
        examples = Examples.with_words(embeddings[~out], labels[~out], prior)
        for s, strength in enumerate(strengths):
            logits[s, out] = examples.solve(prior, strength, ROUGH).logits(embeddings[out])
    return logits
