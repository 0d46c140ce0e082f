"""Directions of names that unlabelled pictures move: against the definition, and where they must not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from modelgpt_edge.parameters.image.generate import generate_pictures
from modelgpt_edge.parameters.image.settling import settled, settled_where_better

WIDTH, CLASSES = 24, 4


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def drawn(each: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures (N, D) around directions of their own, their classes, and those directions (K, D)."""
    truth = unit(np.random.default_rng(9).normal(size=(CLASSES, WIDTH)))
    truth = unit(truth - truth.mean(0))
    labels = np.repeat(np.arange(CLASSES, dtype=np.int32), each)
    noise = np.random.default_rng(seed).normal(0, 0.2, (len(labels), WIDTH))
    return unit(truth[labels] + noise).astype(np.float32), labels, truth


def names(far: float) -> np.ndarray:
    """Directions (D, K) that lie off the true ones."""
    truth = drawn(1)[2]
    return unit(truth + far * unit(np.random.default_rng(3).normal(size=truth.shape))).T.astype(np.float32)


def test_it_is_what_its_definition_says():
    pictures, _, _ = drawn(15)
    words = names(1.0)
    rows = words.T.astype(np.float64)
    for _ in range(8):
        shares = softmax(10 * pictures @ rows.T, axis=1)
        means = np.stack([np.average(pictures, axis=0, weights=shares[:, k]) for k in range(CLASSES)])
        moves = unit(means - means.mean(0))
        trust = [min(0.5, n / (n + 100)) for n in shares.sum(0)]
        rows = unit(np.stack([(1 - t) * w + t * m for t, w, m in zip(trust, words.T, moves)]))
    np.testing.assert_allclose(settled(words, pictures), rows.T, atol=1e-5)


def test_directions_come_nearer_the_more_pictures_there_are():
    truth, words = drawn(1)[2].T, names(1.0)
    near = [(settled(words, drawn(each)[0]) * truth).sum(0).mean() for each in (1, 10, 50)]
    assert (words * truth).sum(0).mean() < near[0] < near[1] < near[2]


def test_a_name_that_says_nothing_stays_nothing():
    words = names(1.0)
    words[:, 2] = 0
    moved = settled(words, drawn(20)[0])
    assert not moved[:, 2].any()
    np.testing.assert_allclose(np.linalg.norm(moved[:, [0, 1, 3]], axis=0), 1, rtol=1e-5)


def test_labelled_pictures_refuse_what_settled_on_the_wrong_classes():
    pictures, _, _ = drawn(25)
    some, theirs, _ = drawn(2, seed=1)
    good, wrong = names(0.8), names(0.8)[:, [1, 2, 3, 0]]
    assert settled_where_better(wrong, pictures, some, theirs) is wrong
    np.testing.assert_array_equal(settled_where_better(good, pictures, some, theirs), settled(good, pictures))
    np.testing.assert_array_equal(settled_where_better(wrong, pictures, some[:0], theirs[:0]), settled(wrong, pictures))


@pytest.mark.parametrize("shots", [0, 1])
def test_names_learn_from_pictures_without_labels(shots):
    base = np.random.default_rng(4).uniform(1.0, 1.5, WIDTH)

    def channels(rows: np.ndarray) -> list[np.ndarray]:
        """Squares of what the space takes the roots of."""
        return [((base + 0.5 * rows) ** 2).astype(np.float32)]

    around, (learnt, labels, _), (asked, truth, _) = drawn(50)[0], drawn(shots, seed=2), drawn(100, seed=1)

    def accuracy(seen: list[np.ndarray] | None) -> float:
        made = generate_pictures(channels(learnt), labels, names(1.6), CLASSES, around=seen)
        assert made.moved == (seen is not None)
        return float((made.head.logits(made.space.of(channels(asked))).argmax(1) == truth).mean())

    assert accuracy(channels(around)) > accuracy(None) + 0.03
