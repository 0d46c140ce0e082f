"""The parts of the prior: mechanisms, structures, ways of cutting classes, rules, and the filter."""

import numpy as np
import pytest

from modelgpt_edge.training.priors.filter import unexplained
from modelgpt_edge.training.priors.graph import draw_graph
from modelgpt_edge.training.priors.laws import pick, shares, standardise
from modelgpt_edge.training.priors.mechanisms import MECHANISMS, WEIGHTS, respond, watch
from modelgpt_edge.training.priors.plain import draw_clusters, draw_plain
from modelgpt_edge.training.priors.products import INTERACTIONS
from modelgpt_edge.training.priors.regions import WAYS, group
from modelgpt_edge.training.priors.rules import RULES
from modelgpt_edge.training.priors.table import Drawn
from modelgpt_edge.training.priors.trees import route


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def numbers_only(numbers, targets, classes):
    rows = len(numbers)
    return Drawn(numbers, np.zeros((rows, 0), np.int32), np.zeros(0, np.int32), targets, classes)


@pytest.mark.parametrize("name", MECHANISMS)
@pytest.mark.parametrize("parents", [1, 2, 7])
def test_mechanisms_give_finite_values_that_depend_on_their_parents(name, parents):
    varied = 0
    for seed in range(20):
        values = MECHANISMS[name](np.random.default_rng(seed), normal(seed, 90, parents), 3)
        assert values.shape == (90, 3)
        assert np.isfinite(values).all()
        assert np.isfinite(MECHANISMS[name](np.random.default_rng(seed), np.zeros((90, parents), np.float32), 3)).all()
        varied += values.std(0).max() > 1e-3
    assert varied >= 15


@pytest.mark.parametrize("place", range(len(INTERACTIONS)))
def test_interactions_are_finite_at_the_largest_values_and_at_zero(place):
    a, b, c = np.array(np.meshgrid([-8, 0, 8], [-8, 0, 8], [-8, 0, 8])).reshape(3, -1).astype(np.float32)
    assert np.isfinite(INTERACTIONS[place](np.random.default_rng(0), a, b, c)).all()


@pytest.mark.parametrize("oblivious", [True, False])
def test_a_tree_s_leaves_are_boxes_along_the_axes(oblivious):
    values = normal(0, 400, 2)
    leaf = route(np.random.default_rng(3), values, 1, 3, oblivious)[:, 0]
    assert set(leaf) <= set(range(8))
    boxes = {i: (values[leaf == i].min(0), values[leaf == i].max(0)) for i in set(leaf)}
    for i, (low, high) in boxes.items():
        inside = ((values >= low) & (values <= high)).all(1)
        assert (leaf[inside] == i).all()


@pytest.mark.parametrize("draw", [draw_graph, draw_plain])
@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("raw", [True, False])
def test_worlds_are_finite_and_of_the_shape_asked_for(draw, mechanism, raw):
    taste = {**dict.fromkeys(MECHANISMS, 0.0), mechanism: 1.0}
    for seed in range(6):
        world = draw(np.random.default_rng(seed), 70, 6, 3, raw, taste)
        assert (world.features.shape, world.levels.shape, world.signal.shape) == ((70, 6), (6,), (70, 3))
        assert np.isfinite(world.features).all()
        assert np.isfinite(world.signal).all()


def test_clusters_share_their_rows_among_all_classes():
    for seed in range(20):
        world = draw_clusters(np.random.default_rng(seed), 400, 7, 3)
        assert np.isfinite(world.features).all()
        assert np.bincount(world.labels, minlength=3).min() > 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_ways_give_classes_in_range_and_mostly_all_of_them(way, classes):
    full = 0
    for seed in range(20):
        labels = WAYS[way](np.random.default_rng(seed), standardise(normal(seed, 500, 10)), classes)
        assert labels.shape == (500,)
        assert labels.min() >= 0
        assert labels.max() < classes
        full += len(np.unique(labels)) == classes
    # Ten classes are more than a short rule list or a few bins always reach.
    assert full >= (14 if classes < 10 else 3)


@pytest.mark.parametrize("rule", RULES)
def test_rules_depend_on_the_levels_alone(rule):
    rng = np.random.default_rng(2)
    levels, sizes = rng.integers(0, 3, (200, 6)).astype(np.int32), np.full(6, 3, np.int32)
    twice = np.concatenate([levels, levels])
    varied = 0
    for seed in range(10):
        places = RULES[rule](np.random.default_rng(seed), twice, sizes)
        assert np.array_equal(places[:200], places[200:])
        varied += len(np.unique(places)) > 1
    assert varied >= 7


def test_groups_of_one_value_stay_together_and_ordered_ones_keep_their_order():
    places = np.repeat(np.arange(12), 5)
    for seed in range(10):
        dealt = group(np.random.default_rng(seed), places, 4)
        assert set(dealt) == {0, 1, 2, 3}
        assert all(len(set(dealt[places == p])) == 1 for p in range(12))
        assert (np.diff(group(np.random.default_rng(seed), places, 4, ordered=True)) >= 0).all()


def test_signals_have_mean_zero_and_unit_deviation():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        signal = respond(rng, normal(seed, 300, 5), 4, WEIGHTS)
        assert np.abs(signal.mean(0)).max() < 0.3
        assert signal.std(0).max() < 1.01
        assert watch(rng, normal(seed, 300, 2), 4).shape == (300, 4)


def test_shares_sum_to_one_above_the_least():
    for seed in range(20):
        drawn = shares(np.random.default_rng(seed), 7, 0.5, 0.03)
        assert drawn.sum() == pytest.approx(1, abs=1e-5)
        assert drawn.min() >= 0.0299


def test_pick_follows_the_weights_and_never_draws_weight_zero():
    rng = np.random.default_rng(0)
    drawn = [pick(rng, {"a": 3.0, "none": 0.0, "b": 1.0}) for _ in range(2000)]
    assert "none" not in drawn
    assert drawn.count("a") == pytest.approx(1500, abs=80)


def test_the_filter_drops_shuffled_targets_and_keeps_linear_and_exclusive_or_ones():
    kept = found = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        numbers = normal(seed, 400, 6)
        linear = (numbers[:, 0] + numbers[:, 1] > 0).astype(np.int32)
        either = ((numbers[:, 0] > 0) ^ (numbers[:, 1] > 0)).astype(np.int32)
        kept += unexplained(rng, numbers_only(numbers, rng.permutation(linear), 2)) < 0.965
        assert unexplained(rng, numbers_only(numbers, linear, 2)) < 0.5
        found += unexplained(rng, numbers_only(numbers, either, 2)) < 0.965
    assert kept <= 2
    assert found >= 18


def test_the_filter_calls_a_constant_target_unpredictable():
    table = numbers_only(normal(0, 100, 4), np.zeros(100, np.float32), 0)
    assert unexplained(np.random.default_rng(0), table) == 1
