"""The blend of heads and linear model: its weights, and that it is the best of its grid by its own objective."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from modelgpt_edge.parameters.blend import LINEAR, SHARES, Blend, choose_blend


def scores_of(quality, rows=400, classes=3, seed=0):
    """Held-out scores by generator, (2, N, K): of each head, a signal of the given strength in noise."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, rows)
    signal = np.eye(classes)[truth]
    scores = {
        g: np.stack([2 * (q * signal + rng.normal(size=signal.shape)) for q in qs]).astype(np.float32)
        for g, qs in quality.items()
    }
    return scores, signal.astype(np.float32), truth


def loss_of(logits, truth):
    log_p = log_softmax(logits.astype(np.float64), axis=1)
    share = 1 / len(truth)
    return -((1 - share) * log_p[np.arange(len(truth)), truth] + share * log_p.mean(1)).mean()


@pytest.mark.parametrize("blend", [Blend(0.25, 0.3, 1.7, 0.0), Blend(0.5, 1.0, 0.8, 0.0), Blend(1.0, 0.0, 1.0, 0.0)])
def test_weights_sum_to_the_temperature(blend):
    weights = blend.weights(2)
    assert sum(w.sum() for w in weights.values()) == pytest.approx(blend.temperature, rel=1e-6)
    assert weights["linear"].sum() == pytest.approx(blend.linear * blend.temperature, rel=1e-6)
    assert weights["floor"][0] == pytest.approx((1 - blend.linear) * blend.share * blend.temperature, rel=1e-6)
    assert weights["linear"][0] == weights["linear"][1]


def test_a_single_head_takes_all_of_the_weight():
    weights = Blend(1.0, 0.2, 1.0, 0.0).weights(1)
    assert weights["floor"].tolist() == pytest.approx([0.8])
    assert weights["linear"].tolist() == pytest.approx([0.2])


def test_scores_are_applied_as_the_formula_says():
    scores, *_ = scores_of({"floor": (1, 2), "linear": (1, 1)})
    got = Blend(0.75, 0.1, 1.5, 0.0).apply(scores)
    floor = 0.75 * scores["floor"][0] + 0.25 * scores["floor"][1]
    expected = 1.5 * (0.9 * floor + 0.1 * scores["linear"].mean(0))
    assert np.allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("quality", [(1, 1, 1), (3, 0, 0), (0, 3, 0.5), (0.5, 0.5, 3)])
def test_the_chosen_blend_is_the_best_of_the_grid(quality):
    scores, targets, truth = scores_of({"floor": quality[:2], "linear": quality[2:] * 2})
    blend = choose_blend(scores, targets, "floor")
    assert blend.share in SHARES
    assert blend.linear in LINEAR

    def objective(share, linear):
        floor = share * scores["floor"][0] + (1 - share) * scores["floor"][1]
        logits = (1 - linear) * floor + linear * scores["linear"].mean(0)
        return loss_of(logits, truth) + (20 * (share - 0.5) ** 2 + 5 * linear**2) / len(truth)

    best = min(objective(share, linear) for share in SHARES for linear in LINEAR)
    assert objective(blend.share, blend.linear) < best + 1e-6


@pytest.mark.parametrize("generator", ["floor", "linear"])
def test_its_temperature_calibrates(generator):
    scores, targets, truth = scores_of({"floor": (1, 1), "linear": (0.5, 0.5)})
    overconfident = {g: 5 * s for g, s in scores.items()}
    blend = choose_blend(overconfident, targets, generator)
    logits = Blend(blend.share, blend.linear, 1.0, 0.0).apply(overconfident)
    best = minimize_scalar(
        lambda f: loss_of(logits * f, truth) + 5 / len(truth) * np.log(f) ** 2, bounds=(0.01, 10), method="bounded"
    )
    assert blend.temperature == pytest.approx(best.x, rel=0.01)
    assert blend.temperature < 0.5
    assert blend.loss == pytest.approx(loss_of(logits * blend.temperature, truth), rel=1e-4)


def test_heads_that_are_alike_are_mixed_evenly():
    scores, targets, _ = scores_of({"floor": (1, 1), "linear": (0, 0)}, rows=60)
    scores["floor"][1] = scores["floor"][0]
    assert choose_blend(scores, targets, "floor").share == 0.5


def test_the_linear_generator_is_the_linear_model_alone():
    scores, targets, _ = scores_of({"floor": (3, 3), "linear": (0.1, 0.1)})
    blend = choose_blend(scores, targets, "linear")
    assert blend.linear == 1.0
    assert not blend.weights(2)["floor"].any()
    assert choose_blend(scores, targets, "floor").linear < 1


def test_values_take_the_share_of_least_squared_error():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(200, 1)).astype(np.float32)
    scores = {
        "floor": (truth + 0.5 * rng.normal(size=truth.shape)).astype(np.float32)[None],
        "linear": (truth + 0.5 * rng.normal(size=truth.shape)).astype(np.float32)[None],
    }
    blend = choose_blend(scores, truth, "floor")
    errors = [float((((1 - s) * scores["floor"][0] + s * scores["linear"][0] - truth) ** 2).mean()) for s in LINEAR]
    assert blend.linear == LINEAR[int(np.argmin(errors))]
    assert blend.linear == 0.5
    assert blend.loss == pytest.approx(min(errors), rel=1e-5)
    assert (blend.share, blend.temperature) == (1.0, 1.0)
