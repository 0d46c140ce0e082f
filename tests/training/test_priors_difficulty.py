"""How hard drawn tables are for scikit-learn's learners: learnable, of many grades, and neither kind of learner always wins."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, r2_score, roc_auc_score
from threadpoolctl import threadpool_limits

from modelgpt_edge.training.priors import draw_table


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Systems of a few hundred rows are solved faster by one thread than by many."""
    with threadpool_limits(1, "blas"):
        yield


def encoded(table):
    numbers = np.where(np.isnan(table.numbers), 0, table.numbers)
    numbers = (numbers - numbers.mean(0)) / np.maximum(numbers.std(0), 1e-6)
    flags = [table.codes[:, place, None] == np.arange(size) for place, size in enumerate(table.sizes)]
    return np.concatenate([np.clip(numbers, -5, 5), *flags], axis=1)


@pytest.fixture(scope="module")
def scores(one_thread):
    """(AUC of logistic regression, AUC of a forest, whether the forest's log loss beats the base rates') of tables."""
    found = []
    for seed in range(32):
        table = draw_table(np.random.default_rng(seed), 400, 8, 2)
        x, y = encoded(table), table.targets
        linear = LogisticRegression(C=0.3, max_iter=200).fit(x[:200], y[:200]).predict_proba(x[200:])[:, 1]
        trees = RandomForestClassifier(30, min_samples_leaf=4, random_state=0).fit(x[:200], y[:200])
        forest = trees.predict_proba(x[200:])[:, 1]
        base = log_loss(y[200:], np.full(200, y[:200].mean()))
        found.append((roc_auc_score(y[200:], linear), roc_auc_score(y[200:], forest), log_loss(y[200:], forest) < base))
    return np.array(found)


def test_a_forest_beats_the_base_rates_on_most_tables(scores):
    assert scores[:, 2].mean() >= 0.85


def test_difficulty_is_spread(scores):
    best = scores[:, :2].max(1)
    assert (best < 0.75).mean() > 0.1
    assert (best > 0.9).mean() > 0.15
    assert (best > 0.995).mean() < 0.2


def test_neither_logistic_regression_nor_the_forest_always_wins(scores):
    gain = scores[:, 1] - scores[:, 0]
    assert (gain > 0.01).mean() > 0.25
    assert (gain < 0.005).mean() > 0.25


def test_regression_tables_can_be_learnt():
    gained = []
    for seed in range(10):
        table = draw_table(np.random.default_rng(seed), 400, 8, 0)
        x, y = encoded(table), table.targets
        forest = RandomForestRegressor(20, min_samples_leaf=3, random_state=0).fit(x[:200], y[:200])
        gained.append(r2_score(y[200:], forest.predict(x[200:])))
    assert np.mean(np.array(gained) > 0.03) >= 0.8
