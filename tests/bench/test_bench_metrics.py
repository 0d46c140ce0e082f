import numpy as np
import pytest

sklearn_metrics = pytest.importorskip("sklearn.metrics")

from metrics import LEAST, classification_scores, regression_scores  # noqa: E402


def probabilities(rows, classes, seed=0):
    logits = np.random.default_rng(seed).normal(size=(rows, classes)).round(1)  # rounded: ties must count half
    e = np.exp(2 * logits)
    return e / e.sum(axis=1, keepdims=True)


def test_two_classes_match_scikit_learn():
    p, classes = probabilities(200, 2), ("no", "yes")
    labels = np.random.default_rng(1).choice(classes, 200)
    scores = classification_scores(p, classes, labels.tolist())
    assert scores["auc"] == pytest.approx(sklearn_metrics.roc_auc_score(labels == "yes", p[:, 1]), abs=1e-12)
    assert scores["log_loss"] == pytest.approx(sklearn_metrics.log_loss(labels, p, labels=classes), abs=1e-12)
    assert scores["accuracy"] == sklearn_metrics.accuracy_score(labels, np.array(classes)[p.argmax(1)])


def test_many_classes_match_scikit_learn():
    p, classes = probabilities(300, 4), ("a", "b", "c", "d")
    labels = np.random.default_rng(2).choice(classes, 300)
    scores = classification_scores(p, classes, labels.tolist())
    assert scores["auc"] == pytest.approx(
        sklearn_metrics.roc_auc_score(labels, p, multi_class="ovr", average="macro"), abs=1e-12
    )
    assert scores["log_loss"] == pytest.approx(sklearn_metrics.log_loss(labels, p, labels=classes), abs=1e-12)


def test_a_class_absent_from_the_test_part_takes_no_part_in_auc():
    p, classes = probabilities(100, 3), ("a", "b", "c")
    labels = ["a", "b"] * 50
    each = [sklearn_metrics.roc_auc_score(np.array(labels) == c, p[:, k]) for k, c in enumerate("ab")]
    assert classification_scores(p, classes, labels)["auc"] == pytest.approx(np.mean(each), abs=1e-12)


def test_an_unseen_test_class_counts_as_an_error():
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    scores = classification_scores(p, ("a", "b"), ["a", "b", "new"])
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["log_loss"] == pytest.approx(-(np.log(0.9) + np.log(0.8) + np.log(LEAST)) / 3)
    # a: .9 above both others; b: .8 above both others; new: no column, so chance
    assert scores["auc"] == pytest.approx((1 + 1 + 0.5) / 3)


def test_certainty_that_is_wrong_costs_the_clipped_loss():
    scores = classification_scores(np.array([[1.0, 0.0], [1.0, 0.0]]), ("a", "b"), ["a", "b"])
    assert scores["log_loss"] == pytest.approx(-np.log(1e-6) / 2)


@pytest.mark.parametrize("bad", [np.full((2, 2), np.nan), np.full((2, 3), 1 / 3)])
def test_answers_that_are_no_probabilities_are_refused(bad):
    with pytest.raises(ValueError, match="finite probabilities"):
        classification_scores(bad, ("a", "b"), ["a", "b"])


def test_regression_matches_scikit_learn():
    rng = np.random.default_rng(3)
    truth, value = rng.normal(size=50), rng.normal(size=(50, 1))
    scores = regression_scores(value, truth.tolist())
    assert scores["r2"] == pytest.approx(sklearn_metrics.r2_score(truth, value), abs=1e-12)
    assert scores["rmse"] == pytest.approx(sklearn_metrics.root_mean_squared_error(truth, value), abs=1e-12)
