"""Scores and intervals against scikit-learn, scipy and the formulas written out."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import softmax
from scipy.stats import norm
from sklearn.metrics import log_loss, mean_absolute_error, mean_squared_error, r2_score, roc_auc_score

from modelgpt_edge.parameters.score import auc, classification_score, regression_score, wilson


@pytest.mark.parametrize(("right", "rows"), [(0, 10), (10, 10), (3, 10), (50, 100), (999, 1000), (1, 1)])
def test_wilson_bounds_are_the_shares_that_a_score_test_just_rejects(right, rows):
    z, share = norm.ppf(0.975), right / rows

    def distance(p, sign):
        return (share - p) - sign * z * np.sqrt(p * (1 - p) / rows)

    tiny = 1e-9  # the share itself is a root where it is 0 or 1
    low = brentq(distance, tiny, share - tiny, (1,)) if right else 0
    high = brentq(distance, share + tiny, 1 - tiny, (-1,)) if right < rows else 1
    assert wilson(right, rows) == pytest.approx((low, high), abs=1e-6)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("decimals", [8, 1])
def test_auc_is_that_of_scikit_learn(classes, decimals):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, classes, 150)
    p = softmax(np.eye(classes)[truth] + rng.normal(size=(150, classes)), axis=1).round(decimals)  # ties too
    expected = (
        roc_auc_score(truth, p[:, 1]) if classes == 2 else np.mean([roc_auc_score(truth == k, p[:, k]) for k in range(classes)])
    )
    assert auc(p.astype(np.float32), truth) == pytest.approx(expected, abs=1e-6)


def test_auc_of_many_classes_is_the_macro_mean_of_one_against_the_rest():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 90)
    p = softmax(rng.normal(size=(90, 3)), axis=1)
    assert auc(p, truth) == pytest.approx(roc_auc_score(truth, p, multi_class="ovr", average="macro"), abs=1e-6)


def test_auc_leaves_out_classes_that_are_absent():
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 2, 50)
    p = softmax(rng.normal(size=(50, 3)), axis=1)
    expected = np.mean([roc_auc_score(truth == k, p[:, k]) for k in range(2)])
    assert auc(p, truth) == pytest.approx(expected, abs=1e-6)
    assert auc(p, np.ones(50, int)) is None


def test_accuracy_and_log_loss_of_logits():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 80).astype(np.int32)
    logits = (2 * np.eye(3)[truth] + 2 * rng.normal(size=(80, 3))).astype(np.float32)
    score = classification_score(logits, truth, "somehow")
    assert (score.metric, score.method, score.rows) == ("accuracy", "somehow", 80)
    assert score.value == (logits.argmax(1) == truth).mean()
    assert (score.low, score.high) == wilson(round(score.value * 80), 80)
    assert score.others["log_loss"] == pytest.approx(log_loss(truth, softmax(logits.astype(float), axis=1)), rel=1e-4)
    assert score.others["auc"] == pytest.approx(
        np.mean([roc_auc_score(truth == k, softmax(logits, axis=1)[:, k]) for k in range(3)])
    )


def test_a_class_that_the_model_does_not_know_is_always_wrong():
    logits = np.array([[5, 0], [5, 0], [0, 5]], np.float32)
    score = classification_score(logits, np.array([0, -1, -1], np.int32), "")
    assert score.value == pytest.approx(1 / 3)
    assert score.others["log_loss"] == pytest.approx(2 / 3 * -np.log(1e-6), rel=1e-2)


def test_r2_rmse_and_mae_are_those_of_scikit_learn():
    rng = np.random.default_rng(4)
    values = rng.normal(1e4, 30, 200)
    predicted = values + rng.normal(0, 10, 200)
    score = regression_score(predicted, values, "")
    assert score.value == pytest.approx(r2_score(values, predicted), abs=1e-9)
    assert score.others["rmse"] == pytest.approx(np.sqrt(mean_squared_error(values, predicted)))
    assert score.others["mae"] == pytest.approx(mean_absolute_error(values, predicted))
    assert score.low < score.value < score.high


def test_the_bootstrap_interval_covers_as_often_as_it_says():
    """Of 15 samples with a known R squared of .8, about 14 intervals hold it."""
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(15):
        values = rng.normal(0, 1, 150)
        predicted = 0.8 * values + rng.normal(0, 0.4, 150)  # 1 - R2 = .04 + .16
        score = regression_score(predicted, values, "")
        covered += score.low <= 0.8 <= score.high
    assert 11 <= covered <= 15


def test_a_constant_label_gives_numbers_not_errors():
    score = regression_score(np.zeros(20), np.zeros(20), "")
    assert score.value == 1
    assert np.isfinite([score.low, score.high]).all()
