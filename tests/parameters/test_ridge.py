"""Ridge heads against refits written out in float64, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from modelgpt_edge.kernels.gram import GramSums, add_rows
from modelgpt_edge.parameters.ridge import (
    RATIOS,
    classification_head,
    decompose,
    decompose_sums,
    leave_one_out,
    regression_head,
)

SHAPES = [pytest.param(14, 5, id="N>P"), pytest.param(12, 30, id="N<P"), pytest.param(9, 9, id="N=P")]


def problem_of(rows, width, outputs=3, seed=0, offset=0.7):
    rng = np.random.default_rng(seed)
    features = (rng.normal(size=(rows, width)) * rng.uniform(0.2, 2, width) + offset).astype(np.float32)
    if outputs == 1:
        targets = (features[:, :1] + rng.normal(size=(rows, 1)) + 3).astype(np.float32)
    else:
        targets = np.eye(outputs, dtype=np.float32)[rng.integers(0, outputs, rows)]
    return features, targets


def fit(features, targets, penalty):
    """Weights and bias of ridge with an unpenalised intercept, by the normal equations in float64."""
    x, y = features.astype(np.float64), targets.astype(np.float64)
    mean, target_mean = x.mean(0), y.mean(0)
    gram = (x - mean).T @ (x - mean) + penalty * np.eye(x.shape[1])
    weight = np.linalg.solve(gram, (x - mean).T @ (y - target_mean))
    return weight, target_mean - mean @ weight


def refitted(features, targets, penalty):
    """Each row's prediction by a model that was fitted without it."""
    out = np.empty(targets.shape)
    for i in range(len(features)):
        weight, bias = fit(np.delete(features, i, 0), np.delete(targets, i, 0), penalty)
        out[i] = features[i].astype(np.float64) @ weight + bias
    return out


def loss_of(logits, truth):
    """Mean log loss in which one row more, of unknown class, is spread evenly over the rows."""
    logits = logits - logits.max(1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    share = 1 / len(truth)
    return -((1 - share) * log_p[np.arange(len(truth)), truth] + share * log_p.mean(1)).mean()


@pytest.mark.parametrize(("rows", "width"), SHAPES)
@pytest.mark.parametrize("outputs", [1, 3])
def test_leave_one_out_equals_refits(rows, width, outputs):
    features, targets = problem_of(rows, width, outputs)
    problem = decompose(features, targets)
    penalties = RATIOS * problem.total
    got = leave_one_out(problem, penalties)
    assert got.shape == (len(RATIOS), rows, outputs)
    for ratio, penalty, predictions in zip(RATIOS, penalties, got):
        expected = refitted(features, targets, penalty)
        # Near interpolation a residual is a quotient of two numbers as small as the penalty, of a float32 spectrum.
        allowed = 1e-5 + 3e-8 / ratio
        assert np.abs(predictions - expected).max() < allowed * max(1, np.abs(expected).max())


@pytest.mark.parametrize("rows", [3, 4, 5, 8])
def test_leave_one_out_of_a_few_rows_of_many_columns_knows_no_direction_of_rounding_noise(rows):
    for seed in range(20):
        features, targets = problem_of(rows, 500, offset=4.0, seed=seed)
        problem = decompose(features, targets)
        assert len(problem.values) <= rows - 1
        penalty = 1e-2 * problem.total
        got = leave_one_out(problem, np.array([penalty]))[0]
        assert np.abs(got - refitted(features, targets, penalty)).max() < 1e-4


def test_leave_one_out_is_not_the_fit_itself():
    features, targets = problem_of(12, 30)
    problem = decompose(features, targets)
    penalty = RATIOS[0] * problem.total
    weight, bias = fit(features, targets, penalty)
    fitted = features @ weight + bias
    assert np.abs(leave_one_out(problem, np.array([penalty]))[0] - fitted).max() > 0.3


def test_leave_one_out_of_summed_rows_equals_refits_on_all_of_them():
    features, targets = problem_of(40, 6)
    sums = GramSums.zeros(6, 3)
    add_rows(sums, features, targets, lambda block: block)
    sample = np.arange(0, 40, 3)
    problem = decompose_sums(sums, features[sample], targets[sample])
    assert problem.rows == 40
    for ratio in (1e-5, 1e-2, 1.0):
        penalty = ratio * problem.total
        got = leave_one_out(problem, np.array([penalty]))[0]
        assert np.abs(got - refitted(features, targets, penalty)[sample]).max() < 1e-3


@pytest.mark.parametrize("cut", [1, 7, 40])
def test_summed_rows_pose_the_same_problem_as_rows_in_memory(cut):
    features, targets = problem_of(80, 12, offset=4.0)
    sums = GramSums.zeros(12, 3)
    for start in range(0, 80, cut):
        add_rows(sums, features[start : start + cut], targets[start : start + cut], lambda block: block)
    whole, summed = decompose(features, targets), decompose_sums(sums, features, targets)
    assert np.allclose(summed.values, whole.values, rtol=1e-4)
    head, other = regression_head(whole), regression_head(summed)
    assert other.penalty == pytest.approx(head.penalty, rel=1e-4)
    for got, expected in zip(summed.weights(other.coordinates, other.offset), whole.weights(head.coordinates, head.offset)):
        assert np.abs(got - expected).max() < 1e-4


@pytest.mark.parametrize(("rows", "width"), [(60, 8), (15, 40)])
def test_weights_are_those_of_scikit_learn(rows, width):
    features, targets = problem_of(rows, width, outputs=1)
    problem = decompose(features, targets)
    head = regression_head(problem)
    peer = Ridge(alpha=head.penalty, solver="svd").fit(features.astype(np.float64), targets)
    weight, bias = problem.weights(head.coordinates, head.offset)
    assert np.abs(weight[:, 0] - peer.coef_.ravel()).max() < 1e-3
    assert np.abs(bias - peer.intercept_).max() < 3e-3


def test_the_penalty_of_values_is_the_best_of_the_grid():
    for seed in range(4):
        features, targets = problem_of(25, 10, outputs=1, seed=seed)
        problem = decompose(features, targets)
        errors = [((refitted(features, targets, r * problem.total) - targets) ** 2).mean() for r in RATIOS]
        assert regression_head(problem).penalty == pytest.approx(RATIOS[int(np.argmin(errors))] * problem.total)


@pytest.mark.parametrize(("rows", "width", "classes"), [(30, 6, 2), (24, 40, 2), (36, 8, 4)])
def test_penalty_and_temperature_of_classes_are_the_best_of_a_grid(rows, width, classes):
    rng = np.random.default_rng(rows)
    features, targets = problem_of(rows, width, classes)
    truth = targets.argmax(1)
    features[:, 0] += truth
    features += rng.normal(size=features.shape).astype(np.float32) * 0.1
    problem = decompose(features, targets)
    factors = np.exp(np.linspace(-3, 4, 250))
    losses = {}
    for ratio in RATIOS:
        scores = refitted(features, targets, ratio * problem.total)
        losses[ratio] = min((loss_of(scores * f, truth), f) for f in factors)
    head = classification_head(problem)
    chosen = RATIOS[int(np.argmin(np.abs(RATIOS * problem.total - head.penalty)))]
    best = min(losses.values())[0]
    assert losses[chosen][0] < best + 1e-3
    # Its logits are the ridge solution times the best factor.
    weight, bias = fit(features, targets, head.penalty)
    expected = (features @ weight + bias) * losses[chosen][1]
    got_weight, got_bias = problem.weights(head.coordinates, head.offset)
    got = features @ got_weight + got_bias
    assert np.abs(got - expected).max() < 0.03 * np.abs(expected).max()


def test_heads_of_constant_features_are_finite():
    features, targets = np.ones((10, 4), np.float32), np.eye(2, dtype=np.float32)[[0, 1] * 5]
    for head in (classification_head(decompose(features, targets)), regression_head(decompose(features, targets[:, :1]))):
        assert np.isfinite(head.coordinates).all()
        assert np.isfinite(head.offset).all()


def test_copied_features_change_nothing():
    """The spectrum of copies holds zeros, which must not turn into huge weights."""
    features, targets = problem_of(50, 6, outputs=1)
    twice = np.concatenate([features, features], axis=1)
    problem = decompose(twice, targets)
    head = regression_head(problem)
    weight, bias = problem.weights(head.coordinates, head.offset)
    reference, reference_bias = fit(twice, targets, head.penalty)
    assert np.abs(twice @ weight + bias - (twice @ reference + reference_bias)).max() < 1e-3
