"""Draws and heads merge into one child without loss, against each draw's heads applied one after the other."""

import numpy as np
import pytest

from modelgpt_edge.child import Units
from modelgpt_edge.data.table import Rows
from modelgpt_edge.parameters.blend import Blend
from modelgpt_edge.parameters.floor import DrawFeatures, LinearFeatures, emit_floor, emit_linear, fuse
from modelgpt_edge.parameters.prepare import Standard, classification_targets, prepare
from modelgpt_edge.parameters.units import Widths, draw_units
from modelgpt_edge.schema import Column, Schema

WIDTHS = Widths(32, 16, 16, 16)
ONE = Standard(0.0, 1.0)


def ready_for(classes, rows=150, seed=0):
    """Prepared rows with numbers, gaps and words, and their targets: one-hot classes, or values for 0 classes."""
    rng = np.random.default_rng(seed)
    numbers = {name: rng.normal(size=rows).astype(np.float32) for name in "abc"}
    numbers["c"][::9] = np.nan
    words = {"w": rng.choice(np.array(["red", "green", "blue"], object), rows)}
    signal = numbers["a"] * numbers["b"] + (words["w"] == "red")
    labels = (
        np.clip(np.digitize(signal, np.quantile(signal, np.linspace(0, 1, classes + 1)[1:-1])), 0, classes - 1)
        if classes
        else 40 * signal + 7e3
    )
    columns = (*(Column(n, "number") for n in "abc"), Column("w", "category"))
    names = tuple(f"k{i}" for i in range(classes))
    schema = Schema(columns, Column("y", "category"), "", "classification" if classes else "regression", "", names)
    standard = ONE if classes else Standard.of(labels)
    targets = classification_targets(labels.astype(np.int32), classes) if classes else standard.targets(labels)
    return prepare(Rows(numbers, words, labels), targets, schema), targets, standard, names


def expected_scores(emission, mix, encoded):
    """mix over the kinds of head of the mean over draws of head(draw's features), float64."""
    total = 0
    draws = len(emission.heads)
    for d, heads in enumerate(emission.heads):
        features = np.concatenate([encoded, emission.units.part(d, draws).activate(encoded)], axis=1).astype(np.float64)
        for share, weight, bias in zip(mix, heads.weight, heads.bias):
            total = total + share * (features @ weight.astype(np.float64) + bias) / draws
    return total


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("draws", [1, 4])
@pytest.mark.parametrize("linear", [0.0, 0.3])
def test_the_fused_child_scores_as_its_parts_do(classes, draws, linear):
    ready, targets, _, names = ready_for(classes)
    emissions = {
        "linear": emit_linear(ready, targets),
        "floor": emit_floor(ready, targets, WIDTHS, draws, np.random.default_rng(0)),
    }
    blend = Blend(0.75, linear, 1.3, 0.0)
    child = fuse(emissions, blend.weights(2), ONE, names)
    expected = 1.3 * (1 - linear) * expected_scores(emissions["floor"], (0.75, 0.25), ready.encoded)
    expected += 1.3 * linear * expected_scores(emissions["linear"], (0.5, 0.5), ready.encoded)
    got = child.scores(ready.encoded)
    assert np.abs(got - expected).max() < 2e-5 * max(1, np.abs(expected).max())
    assert child.units.count == draws * 80
    assert child.head_weight.shape == (ready.encoder.width + draws * 80, classes)


@pytest.mark.parametrize("classes", [0, 3])
def test_emission_scores_are_the_mean_over_draws(classes):
    ready, targets, *_ = ready_for(classes)
    emission = emit_floor(ready, targets, WIDTHS, 3, np.random.default_rng(1))
    heads = 2 if classes else 1
    scores = emission.scores(ready.encoded)
    assert scores.shape == (heads, *targets.shape)
    for h in range(heads):
        expected = expected_scores(emission, np.eye(heads)[h], ready.encoded)
        assert np.abs(scores[h] - expected).max() < 2e-5 * max(1, np.abs(expected).max())


@pytest.mark.parametrize("classes", [0, 2])
def test_the_linear_child_has_no_units(classes):
    ready, targets, standard, names = ready_for(classes)
    emissions = {
        "linear": emit_linear(ready, targets),
        "floor": emit_floor(ready, targets, WIDTHS, 2, np.random.default_rng(0)),
    }
    heads = 2 if classes else 1
    child = fuse(emissions, Blend(0.5, 1.0, 1.0, 0.0).weights(heads), standard, names)
    assert child.units.count == 0
    assert child.head_weight.shape == (ready.encoder.width, max(1, classes))
    expected = expected_scores(emissions["linear"], [1 / heads] * heads, ready.encoded) * standard.deviation + standard.mean
    assert np.abs(child.scores(ready.encoded) - expected).max() < 1e-5 * np.abs(expected).max()


def test_values_come_in_the_units_of_the_label():
    ready, targets, standard, names = ready_for(0)
    emissions = {
        "linear": emit_linear(ready, targets),
        "floor": emit_floor(ready, targets, WIDTHS, 2, np.random.default_rng(0)),
    }
    child = fuse(emissions, Blend(1.0, 0.2, 1.0, 0.0).weights(1), standard, names)
    expected = 0.8 * expected_scores(emissions["floor"], [1], ready.encoded) + 0.2 * expected_scores(
        emissions["linear"], [1], ready.encoded
    )
    got = child.outputs(ready.encoded)
    assert np.abs(got - (7e3 + 0 * got)).max() < 1e3
    assert np.abs(got - (expected * standard.deviation + standard.mean)).max() < 1e-4 * standard.deviation + 2e-3
    assert np.corrcoef(got[:, 0], targets[:, 0])[0, 1] > 0.9


def test_probabilities_sum_to_one():
    ready, targets, _, names = ready_for(5)
    emissions = {
        "linear": emit_linear(ready, targets),
        "floor": emit_floor(ready, targets, WIDTHS, 1, np.random.default_rng(0)),
    }
    p = fuse(emissions, Blend(0.5, 0.0, 1.0, 0.0).weights(2), ONE, names).outputs(ready.encoded)
    assert np.allclose(p.sum(1), 1, atol=1e-6)
    assert (p >= 0).all()


def test_workers_change_nothing():
    ready, targets, *_ = ready_for(3)
    one = emit_floor(ready, targets, WIDTHS, 4, np.random.default_rng(0), workers=1)
    four = emit_floor(ready, targets, WIDTHS, 4, np.random.default_rng(0), workers=4)
    for a, b in zip(one.heads, four.heads):
        assert np.array_equal(a.weight, b.weight)
        assert np.array_equal(a.bias, b.bias)


@pytest.mark.parametrize("widths", [WIDTHS, Widths(100, 10, 20, 50), Widths(20, 0, 10, 0)])
def test_every_group_of_features_has_equal_variance_and_the_skip_a_quarter(widths):
    ready, targets, *_ = ready_for(2)
    units = draw_units(ready.encoded, targets, ready.relevance, widths, 1, np.random.default_rng(0))
    features = DrawFeatures.of(units, ready.encoded, widths)(ready.encoded).astype(np.float64)
    sizes = [ready.encoder.width, widths.dense, widths.pair, widths.sparse, widths.leaf]
    assert features.shape[1] == sum(sizes)
    totals = [group.var(0).sum() for group in np.split(features, np.cumsum(sizes)[:-1], axis=1)]
    assert totals == pytest.approx([0.25, *(float(size > 0) for size in sizes[1:])], rel=1e-4)


def test_linear_features_have_total_variance_one():
    ready, *_ = ready_for(2)
    features = LinearFeatures.of(ready.encoded)(ready.encoded)
    assert features.var(0).sum() == pytest.approx(1, rel=1e-4)


def test_a_table_that_tells_nothing_gives_finite_heads():
    encoded = np.zeros((30, 4), np.float32)
    ready, *_ = ready_for(2, rows=30)
    flat = type(ready)(ready.encoder, encoded, np.full(4, 0.25, np.float32))
    targets = np.eye(2, dtype=np.float32)[np.arange(30) % 2]
    for emission in (emit_linear(flat, targets), emit_floor(flat, targets, WIDTHS, 1, np.random.default_rng(0))):
        assert all(np.isfinite(h.weight).all() and np.isfinite(h.bias).all() for h in emission.heads)


def test_no_units_leave_the_linear_model():
    ready, targets, _, names = ready_for(2)
    none = Widths(0, 0, 0, 0)
    emissions = {"linear": emit_linear(ready, targets), "floor": emit_floor(ready, targets, none, 1, np.random.default_rng(0))}
    child = fuse(emissions, Blend(0.5, 0.0, 1.0, 0.0).weights(2), ONE, names)
    assert child.units.count == 0
    assert isinstance(child.units, Units)
    assert np.isfinite(child.scores(ready.encoded)).all()
