"""The multinomial head under a prior of words: it minimises what it says it does, as float64 solvers of others find."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from modelgpt_edge.parameters.text.head import Examples, Strength, centred_prior, split_stratified
from modelgpt_edge.parameters.text.prior import unit_columns
from modelgpt_edge.text_head import TextHead


def unit_rows(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def drawn(rows: int, width: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings (N, D) around a place of each class, their labels (N,), and directions of words (D, K) near those places."""
    draw = np.random.default_rng(seed)
    places = draw.normal(size=(classes, width))
    labels = (np.arange(rows) % classes).astype(np.int32)
    embeddings = unit_rows(places[labels] + 1.5 * draw.normal(size=(rows, width)))
    return embeddings, labels, unit_columns((places + draw.normal(size=places.shape)).T.astype(np.float32))


class Objective:
    """The loss in float64 of weights W (D, K) and an intercept (K,) on centred embeddings."""

    def __init__(self, embeddings: np.ndarray, labels: np.ndarray, prior: np.ndarray, strength: Strength) -> None:
        self.x = embeddings.astype(np.float64) - embeddings.mean(0, dtype=np.float64)
        self.targets = np.eye(prior.shape[1])[labels]
        self.middle = strength.scale * centred_prior(prior).astype(np.float64)
        self.penalty = strength.penalty

    def __call__(self, flat: np.ndarray) -> tuple[float, np.ndarray]:
        w = flat.reshape(-1, self.targets.shape[1])
        logits = self.x @ w[:-1] + w[-1]
        away = w[:-1] - self.middle
        loss = -(self.targets * log_softmax(logits, 1)).sum() + self.penalty / 2 * (away**2).sum()
        wrong = np.exp(log_softmax(logits, 1)) - self.targets
        return float(loss), np.concatenate([self.x.T @ wrong + self.penalty * away, wrong.sum(0)[None]]).ravel()

    def of(self, head: TextHead, mean: np.ndarray) -> tuple[float, np.ndarray]:
        """Loss and gradient of a head, whose embeddings are not centred."""
        weight = head.weight.astype(np.float64)
        return self(np.concatenate([weight, (head.bias + mean @ weight)[None]]).ravel())

    def solved(self) -> np.ndarray:
        start = np.concatenate([self.middle, np.zeros((1, self.targets.shape[1]))]).ravel()
        found = minimize(self, start, jac=True, method="L-BFGS-B", options={"maxiter": 20_000, "ftol": 1e-15, "gtol": 1e-9})
        return found.x


@pytest.mark.parametrize(("rows", "width", "classes"), [(12, 40, 3), (60, 40, 5), (300, 24, 7), (9, 30, 2)])
@pytest.mark.parametrize("strength", [Strength(5.0, 0.01), Strength(1.0, 1.0), Strength(0.0, 0.05)])
def test_the_head_minimises_its_objective(rows, width, classes, strength):
    embeddings, labels, prior = drawn(rows, width, classes)
    objective = Objective(embeddings, labels, prior, strength)
    least, _ = objective(objective.solved())
    examples = Examples.of(embeddings, labels, classes)
    mean = embeddings.mean(0, dtype=np.float64)
    start, steep = objective(np.zeros((width + 1) * classes))
    exact, gradient = objective.of(examples.solve(prior, strength, 1e-9), mean)
    assert exact <= least * (1 + 1e-5) + 1e-5
    assert np.linalg.norm(gradient) < 1e-3 * np.linalg.norm(steep)
    shipped, _ = objective.of(examples.solve(prior, strength), mean)
    assert shipped - least < 1e-3 * (start - least)


@pytest.mark.parametrize("penalty", [0.03, 0.3, 3.0])
@pytest.mark.parametrize(("rows", "classes"), [(40, 4), (200, 6)])
def test_without_words_it_is_scikit_learns_logistic_regression(rows, classes, penalty):
    embeddings, labels, prior = drawn(rows, 30, classes, seed=1)
    theirs = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000).fit(embeddings.astype(np.float64), labels)
    head = Examples.of(embeddings, labels, classes).solve(prior, Strength(0.0, penalty), 1e-9)
    fresh = drawn(100, 30, classes, seed=2)[0]
    np.testing.assert_allclose(head.probabilities(fresh), theirs.predict_proba(fresh), atol=1e-3)


def test_two_classes_are_penalised_once_each_where_scikit_learn_has_one_column():
    embeddings, labels, prior = drawn(50, 20, 2, seed=3)
    theirs = LogisticRegression(C=2 / 0.1, tol=1e-10, max_iter=10_000).fit(embeddings.astype(np.float64), labels)
    head = Examples.of(embeddings, labels, 2).solve(prior, Strength(0.0, 0.1), 1e-9)
    np.testing.assert_allclose(head.probabilities(embeddings), theirs.predict_proba(embeddings), atol=1e-3)


def test_a_large_penalty_leaves_the_words_alone():
    embeddings, labels, prior = drawn(30, 40, 5)
    head = Examples.of(embeddings, labels, 5).solve(prior, Strength(4.0, 1e6))
    np.testing.assert_allclose(head.weight, 4 * centred_prior(prior), atol=1e-3)


def test_a_class_without_examples_is_served_by_its_words():
    embeddings, labels, prior = drawn(40, 60, 5)
    known = labels < 4
    examples = Examples.with_words(embeddings[known], labels[known], prior)
    assert examples.targets.sum(0).tolist() == [8, 8, 8, 8, 1]
    head = examples.solve(prior, Strength(5.0, 0.01))
    assert head.logits(prior.T).argmax(1).tolist() == [0, 1, 2, 3, 4]
    assert (head.logits(embeddings[known]).argmax(1) == labels[known]).mean() > 0.9


def test_labels_in_another_order_give_the_same_head_in_that_order():
    embeddings, labels, prior = drawn(60, 24, 4)
    head = Examples.of(embeddings, labels, 4).solve(prior, Strength(5.0, 0.01), 1e-9)
    order = np.array([2, 0, 3, 1])
    turned = Examples.of(embeddings, np.argsort(order)[labels].astype(np.int32), 4).solve(
        prior[:, order], Strength(5.0, 0.01), 1e-9
    )
    np.testing.assert_allclose(turned.probabilities(embeddings), head.probabilities(embeddings)[:, order], atol=2e-3)


def test_rows_in_another_order_give_the_same_head():
    embeddings, labels, prior = drawn(60, 24, 4)
    head = Examples.of(embeddings, labels, 4).solve(prior, Strength(5.0, 0.01), 1e-9)
    order = np.random.default_rng(5).permutation(60)
    other = Examples.of(embeddings[order], labels[order], 4).solve(prior, Strength(5.0, 0.01), 1e-9)
    np.testing.assert_allclose(other.probabilities(embeddings), head.probabilities(embeddings), atol=2e-3)


@pytest.mark.parametrize(
    "labels", [[0], [0, 0, 0], [0, 1], [0] * 60 + [1], [1] + [0] * 200], ids=["one", "one class", "two", "60:1", "1:200"]
)
def test_few_or_uneven_examples_give_a_head_of_numbers(labels):
    truth = np.array(labels, np.int32)
    embeddings, _, prior = drawn(len(labels), 40, 3)
    head = Examples.with_words(embeddings, truth, prior).solve(prior, Strength(5.0, 0.01))
    assert np.isfinite(head.weight).all()
    assert np.isfinite(head.bias).all()
    assert (head.logits(embeddings).argmax(1) == truth).all()


def test_the_same_text_under_two_labels_gives_even_chances():
    one = unit_rows(np.random.default_rng(0).normal(size=(1, 40)))
    prior = unit_columns(np.random.default_rng(1).normal(size=(40, 2)).astype(np.float32))
    head = Examples.with_words(np.repeat(one, 6, 0), np.array([0, 1] * 3, np.int32), prior).solve(prior, Strength(0.0, 0.1))
    np.testing.assert_allclose(head.probabilities(one), [[0.5, 0.5]], atol=1e-3)


def test_folds_hold_every_class_evenly():
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(4), [1, 5, 12, 33])).astype(np.int32)
    fold = split_stratified(labels, 5, seed=3)
    for k in range(4):
        counts = np.bincount(fold[labels == k], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert (split_stratified(labels, 5, seed=3) == fold).all()


def test_a_head_is_written_and_read_as_it_is(tmp_path):
    head = TextHead(np.arange(6, dtype=np.float32).reshape(3, 2), np.array([1, -1], np.float32))
    content = head.to_bytes(("a", "ä 请"))
    assert content == head.to_bytes(("a", "ä 请"))
    (tmp_path / "head.safetensors").write_bytes(content)
    read = TextHead.read(tmp_path / "head.safetensors")
    assert read.weight.tolist() == head.weight.tolist()
    assert read.bias.tolist() == head.bias.tolist()
