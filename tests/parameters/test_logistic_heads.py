"""Logistic heads and temperatures against scikit-learn and scipy's minimisers in float64."""

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from modelgpt_edge.parameters.likelihood import log_losses, smoothed_loss, temperature
from modelgpt_edge.parameters.logistic import PENALTY, logistic_head, solve_logistic
from modelgpt_edge.parameters.ridge import classification_head, decompose

CASES = [(80, 5, 2), (60, 40, 2), (150, 8, 4), (40, 60, 3)]


def table_of(rows, width, classes, seed=0, strength=1.0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, width)).astype(np.float32)
    logits = strength * features @ rng.normal(size=(width, classes)) + rng.gumbel(size=(rows, classes))
    truth = logits.argmax(1)
    truth[:classes] = np.arange(classes)
    return features, np.eye(classes, dtype=np.float32)[truth], truth


def objective(w, z, targets, penalty):
    """The objective and its gradient, float64, W (R + 1, K) flat."""
    w = w.reshape(z.shape[1], -1)
    log_p = log_softmax(z @ w, axis=1)
    ridge = np.full((len(w), 1), penalty)
    ridge[-1] = 0
    value = -(targets * log_p).sum() + 0.5 * (ridge * w * w).sum()
    return value, (z.T @ (np.exp(log_p) * targets.sum(1, keepdims=True) - targets) + ridge * w).ravel()


def minimum(coordinates, targets, penalty):
    """The least value that scipy finds, and the probabilities there."""
    z = np.concatenate([coordinates, np.ones((len(coordinates), 1))], axis=1).astype(np.float64)
    start = np.zeros(z.shape[1] * targets.shape[1])
    run = minimize(
        objective,
        start,
        (z, targets.astype(np.float64), penalty),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 5000, "ftol": 1e-14, "gtol": 1e-8},
    )
    return run.fun, softmax(z @ run.x.reshape(z.shape[1], -1), axis=1)


def solved(coordinates, targets, penalty, start):
    """The value and probabilities of our solution, in float64."""
    w = solve_logistic(coordinates, targets, penalty, start).astype(np.float64)
    z = np.concatenate([coordinates, np.ones((len(coordinates), 1))], axis=1).astype(np.float64)
    return objective(w.ravel(), z, targets.astype(np.float64), penalty)[0], softmax(z @ w, axis=1)


@pytest.mark.parametrize(("rows", "width", "classes"), CASES)
@pytest.mark.parametrize("share", [1.0, 0.01])
def test_the_head_is_the_minimum_that_scipy_finds(rows, width, classes, share):
    features, targets, _ = table_of(rows, width, classes)
    problem = decompose(features, targets)
    start = classification_head(problem)
    penalty = share * PENALTY * start.penalty
    first = np.concatenate([start.coordinates, start.offset[None]])
    value, p = solved(problem.left * problem.values, targets, penalty, first)
    best, expected = minimum(problem.left * problem.values, targets, penalty)
    assert value >= best - 1e-3
    # Where the rows can all be right, steps end in a long flat tail.
    flat = best < 0.1 * rows
    assert (value - best) / rows < (4e-4 if flat else 2e-5)
    assert np.abs(p - expected).max() < 1e-2


@pytest.mark.parametrize(("rows", "width", "classes"), [(150, 6, 3), (200, 10, 5)])
def test_probabilities_are_those_of_scikit_learn(rows, width, classes):
    features, targets, truth = table_of(rows, width, classes)
    problem = decompose(features, targets)
    start = classification_head(problem)
    coordinates, offset = logistic_head(problem, start)
    weight, bias = problem.weights(coordinates, offset)
    peer = LogisticRegression(C=1 / (PENALTY * start.penalty), tol=1e-8, max_iter=5000)
    peer.fit((features - features.mean(0)).astype(np.float64), truth)
    got = softmax(features @ weight + bias, axis=1)
    assert np.abs(got - peer.predict_proba(features - features.mean(0))).max() < 1e-2


def test_the_head_s_penalty_is_its_share_of_the_ridge_head_s():
    features, targets, _ = table_of(60, 40, 2, seed=1)
    problem = decompose(features, targets)
    start = classification_head(problem)
    spectrum = problem.left * problem.values
    coordinates, offset = logistic_head(problem, start)
    got = softmax(spectrum @ coordinates + offset, axis=1)
    distance = {
        share: np.abs(minimum(spectrum, targets, share * start.penalty)[1] - got).max() for share in (0.15, PENALTY, 0.5)
    }
    assert distance[PENALTY] < 5e-3
    assert min(distance[0.15], distance[0.5]) > 0.02


def test_soft_labels_are_solved_too():
    features, targets, _ = table_of(100, 6, 3)
    rng = np.random.default_rng(1)
    soft = softmax(targets * 2 + rng.normal(size=targets.shape), axis=1).astype(np.float32)
    problem = decompose(features, soft)
    coordinates = problem.left * problem.values
    value, p = solved(coordinates, soft, 0.5, np.zeros((coordinates.shape[1] + 1, 3), np.float32))
    best, expected = minimum(coordinates, soft, 0.5)
    assert value < best + 1e-2
    assert np.abs(p - expected).max() < 1e-2


def test_a_bad_start_ends_at_the_same_place():
    features, targets, _ = table_of(120, 5, 3)
    problem = decompose(features, targets)
    coordinates = problem.left * problem.values
    start = np.random.default_rng(2).normal(scale=5, size=(coordinates.shape[1] + 1, 3)).astype(np.float32)
    value, p = solved(coordinates, targets, 1.0, start)
    best, expected = minimum(coordinates, targets, 1.0)
    assert (value - best) / 120 < 3e-4
    assert np.abs(p - expected).max() < 3e-2


def test_separable_rows_give_finite_heads():
    truth = np.repeat([0, 1], 20)
    features = np.stack([np.where(truth == 1, 5.0, -5.0), np.linspace(-1, 1, 40)], axis=1).astype(np.float32)
    problem = decompose(features, np.eye(2, dtype=np.float32)[truth])
    head = classification_head(problem)
    coordinates, offset = logistic_head(problem, head)
    assert np.isfinite(coordinates).all()
    assert np.isfinite(offset).all()
    assert (((problem.left * problem.values) @ coordinates + offset).argmax(1) == truth).all()


def test_a_class_without_rows_gets_little_probability_and_no_nan():
    features, targets, _ = table_of(60, 4, 3)
    without = np.concatenate([targets, np.zeros((60, 1), np.float32)], axis=1)
    problem = decompose(features, without)
    head = classification_head(problem)
    coordinates, offset = logistic_head(problem, head)
    p = softmax((problem.left * problem.values) @ coordinates + offset, axis=1)
    assert np.isfinite(p).all()
    assert p[:, 3].mean() < 0.05


def smoothed(logits, truth):
    log_p = log_softmax(logits.astype(np.float64), axis=1)
    share = 1 / len(truth)
    return -((1 - share) * log_p[np.arange(len(truth)), truth] + share * log_p.mean(1)).mean()


def test_losses_are_those_of_scipy():
    logits = np.random.default_rng(0).normal(scale=30, size=(50, 4)).astype(np.float32)
    truth = np.arange(50) % 4
    expected = -log_softmax(logits.astype(np.float64), axis=1)[np.arange(50), truth]
    assert np.allclose(log_losses(logits, truth), expected, rtol=1e-5, atol=1e-4)
    assert smoothed_loss(logits, truth) == pytest.approx(smoothed(logits, truth), rel=1e-5)


@pytest.mark.parametrize("scale", [0.05, 1.0, 20.0])
@pytest.mark.parametrize(("strength", "start"), [(0.0, 0.2), (0.0, 1.0), (0.0, 5.0), (5.0, 1.0)])
def test_temperature_is_where_its_objective_is_least(strength, scale, start):
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 120)
    logits = (scale * (np.eye(3)[truth] + rng.normal(size=(120, 3)))).astype(np.float32)

    def value(log_factor):
        return smoothed(logits * np.exp(log_factor), truth) + strength / 120 * log_factor**2

    best = minimize_scalar(value, bounds=(-4, 6), method="bounded", options={"xatol": 1e-8})
    got = np.log(temperature(logits, truth.astype(np.int32), start=start, strength=strength))
    assert value(got) < best.fun + 1e-5
    assert got == pytest.approx(best.x, abs=0.01)


def test_temperature_of_separable_rows_stays_finite_and_sure():
    truth = np.array([0, 1] * 20, np.int32)
    logits = np.where(np.eye(2)[truth] > 0, 1.0, -1.0).astype(np.float32)
    factor = temperature(logits, truth)
    assert 1 < factor < 10
    best = minimize_scalar(lambda f: smoothed(logits * f, truth), bounds=(0.01, 100), method="bounded")
    assert factor == pytest.approx(best.x, rel=0.01)


def test_temperature_of_useless_scores_is_small():
    rng = np.random.default_rng(5)
    logits = rng.normal(scale=8, size=(400, 2)).astype(np.float32)
    assert temperature(logits, rng.integers(0, 2, 400).astype(np.int32)) < 0.1
