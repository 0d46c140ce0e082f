"""Hidden units: what is drawn, in which proportions, and their values against loops over single units."""

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from modelgpt_edge.child import Units
from modelgpt_edge.parameters.units import LEAF_SLOPE, Widths, draw_units

ROWS, COLUMNS = 120, 9
WIDTHS = Widths(sparse=64, dense=24, pair=16, leaf=32)


def table_of(seed=0, classes=3):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, ROWS)
    encoded = rng.normal(size=(ROWS, COLUMNS)).astype(np.float32)
    encoded[:, 0] += truth
    weight = rng.uniform(0.1, 1, COLUMNS).astype(np.float32)
    return encoded, np.eye(classes, dtype=np.float32)[truth], weight / weight.sum(), truth


def draw(widths=WIDTHS, draws=3, seed=0):
    encoded, targets, weight, _ = table_of(seed)
    return draw_units(encoded, targets, weight, widths, draws, np.random.default_rng(seed))


def sparse_units(units):
    """(weights over all columns, bias) of every sparse unit, in order."""
    for columns, weight, bias in zip(units.sparse_column, units.sparse_weight, units.sparse_bias):
        for b in range(len(bias)):
            full = np.zeros(COLUMNS)
            for place, column in enumerate(columns):
                full[column] += float(weight[place, b])
            yield full, float(bias[b])


def leaf_units(units):
    """The steps [(column, slope, bias), ...] and the offset of every leaf unit, in order."""
    for columns, slope, bias, offset in zip(units.leaf_column, units.leaf_slope, units.leaf_bias, units.leaf_offset):
        size = len(offset)
        for u in range(size):
            steps = []
            for k in range(3):
                places = np.flatnonzero(slope[:, k * size + u])
                assert len(places) <= 1
                if len(places):
                    steps.append((int(columns[places[0]]), float(slope[places[0], k * size + u]), float(bias[k * size + u])))
            yield steps, float(offset[u])


def naive(units, row):
    """All units of one encoded row, in float64, one after the other."""
    row = row.astype(np.float64)
    out = [np.tanh(row @ w.astype(float) + b) for w, b in zip(units.dense_weight.T, units.dense_bias.astype(float))]
    out += [np.tanh(row @ w + b) for w, b in sparse_units(units)]
    for steps, offset in leaf_units(units):
        total = sum(1 / (1 + np.exp(-(slope * row[column] + bias))) for column, slope, bias in steps)
        out.append(max(total - offset, 0.0))
    return np.array(out)


def test_there_are_as_many_of_each_kind_as_asked():
    units = draw()
    assert units.counts == (3 * (24 + 16), 3 * 64, 3 * 32)
    assert units.count == 3 * (64 + 24 + 16 + 32)


@pytest.mark.parametrize(
    "widths",
    [
        Widths(8, 4, 4, 4),
        Widths(16, 8, 8, 8),
        Widths(100, 30, 20, 50),
        Widths(7, 1, 3, 1),
        Widths(32, 0, 0, 0),
        Widths(0, 0, 0, 32),
    ],
)
def test_any_widths_are_met(widths):
    for draws in (1, 2):
        units = draw(widths, draws)
        assert units.counts == (draws * (widths.dense + widths.pair), draws * widths.sparse, draws * widths.leaf)
        assert units.activate(table_of()[0]).shape == (ROWS, units.count)


def test_no_units_may_be_asked_for():
    units = draw(Widths(0, 0, 0, 0))
    assert units.counts == (0, 0, 0)
    assert units.activate(table_of()[0]).shape == (ROWS, 0)


def test_scaled_widths_keep_the_mix():
    assert Widths().scaled(320) == Widths(128, 64, 64, 64)
    assert Widths().scaled(20) == Widths(8, 4, 4, 4)


@pytest.mark.parametrize("draws", [1, 3])
def test_activations_equal_a_loop_over_units(draws):
    encoded, *_ = table_of(1)
    units = draw(draws=draws, seed=1)
    got = units.activate(encoded[:20])
    expected = np.stack([naive(units, row) for row in encoded[:20]])
    assert np.abs(got - expected).max() < 1e-5
    assert got.dtype == np.float32


def test_steep_units_do_not_overflow():
    units = draw()
    with np.errstate(all="raise"):
        got = units.activate(np.full((2, COLUMNS), 3e4, np.float32))
    assert np.isfinite(got).all()


def test_parts_recombine():
    encoded, *_ = table_of()
    units = draw(draws=3)
    whole = np.split(units.activate(encoded), np.cumsum(units.counts)[:2], axis=1)
    parts = [units.part(d, 3) for d in range(3)]
    assert {p.counts for p in parts} == {tuple(c // 3 for c in units.counts)}
    pieces = [np.split(p.activate(encoded), np.cumsum(p.counts)[:2], axis=1) for p in parts]
    for kind in range(3):
        assert np.abs(np.concatenate([piece[kind] for piece in pieces], axis=1) - whole[kind]).max() < 1e-6


def test_draws_differ():
    parts = [draw(draws=2).part(d, 2) for d in range(2)]
    assert not np.array_equal(parts[0].dense_weight, parts[1].dense_weight)
    assert not np.array_equal(parts[0].sparse_weight, parts[1].sparse_weight)


def test_sparse_units_see_one_to_three_columns_with_the_kink_at_a_row():
    encoded, *_ = table_of()
    used = []
    for weight, bias in sparse_units(draw()):
        columns = np.flatnonzero(weight)
        used.append(len(columns))
        # Some training row lies on the hyperplane.
        assert np.abs(encoded[:, columns] @ weight[columns] + bias).min() < 1e-4
    assert set(used) == {1, 2, 3}


def test_sparse_weights_are_normal_with_a_log_uniform_scale():
    """Of units of one column: |w| is |normal| times exp(uniform(log .5, log 3))."""
    units = draw(Widths(4096, 0, 0, 0), 1)
    single = np.array([w[np.flatnonzero(w)[0]] for w, _ in sparse_units(units) if np.count_nonzero(w) == 1])
    rng = np.random.default_rng(7)
    reference = rng.normal(size=100_000) * np.exp(rng.uniform(np.log(0.5), np.log(3), 100_000))
    assert kstest(single, reference).pvalue > 1e-3
    assert len(single) > 1000


@pytest.mark.parametrize("kind", ["sparse", "leaf"])
def test_columns_are_drawn_in_proportion_to_relevance(kind):
    encoded, targets, weight, _ = table_of()
    widths = Widths(32, 0, 0, 0) if kind == "sparse" else Widths(0, 0, 0, 32)
    units = draw_units(encoded, targets, weight, widths, 500, np.random.default_rng(0))
    column = units.sparse_column if kind == "sparse" else units.leaf_column
    counts = np.bincount(column.ravel(), minlength=COLUMNS)
    assert counts.sum() == 500 * 8
    assert chisquare(counts, counts.sum() * weight / weight.sum(dtype=float)).pvalue > 1e-3


def test_columns_of_no_weight_are_never_drawn():
    encoded, targets, weight, _ = table_of()
    weight = np.where(np.arange(COLUMNS) % 2, 0, weight).astype(np.float32)
    units = draw_units(encoded, targets, weight / weight.sum(), WIDTHS, 2, np.random.default_rng(0))
    assert (units.sparse_column % 2 == 0).all()
    assert (units.leaf_column % 2 == 0).all()
    assert (units.dense_weight[1::2] == 0).all()


def test_dense_units_weigh_columns_by_the_root_of_their_relevance():
    encoded, targets, weight, _ = table_of()
    units = draw_units(encoded, targets, weight, Widths(0, 6000, 0, 0), 1, np.random.default_rng(0))
    spread = units.dense_weight.std(1)
    assert np.allclose(spread / spread.mean(), np.sqrt(weight) / np.sqrt(weight).mean(), rtol=0.08)
    kinks = encoded @ units.dense_weight[:, :200] + units.dense_bias[:200]
    assert np.abs(kinks).min(0).max() < 1e-4  # each plane goes through a row


def test_pair_units_are_half_apart_at_two_rows_of_different_classes():
    encoded, targets, weight, truth = table_of()
    units = draw_units(encoded, targets, weight, Widths(0, 0, 200, 0), 1, np.random.default_rng(0))
    values = np.tanh(encoded.astype(float) @ units.dense_weight + units.dense_bias)
    for unit in range(200):
        low, high = np.flatnonzero(np.abs(values[:, unit] + 0.5) < 1e-4), np.flatnonzero(np.abs(values[:, unit] - 0.5) < 1e-4)
        pairs = [(a, b) for a in low for b in high if truth[a] != truth[b] and _along(units, unit, encoded, weight, a, b)]
        assert pairs, unit


def _along(units, unit, encoded, weight, a, b):
    """Whether a unit's direction is the relevance-weighted difference of two rows."""
    direction = units.dense_weight[:, unit].astype(float)
    difference = (encoded[b] - encoded[a]).astype(float) * weight
    return direction @ difference > (1 - 1e-6) * np.linalg.norm(direction) * np.linalg.norm(difference)


def test_pair_rows_lie_closer_than_rows_of_chance():
    encoded, targets, weight, truth = table_of()
    units = draw_units(encoded, targets, weight, Widths(0, 0, 300, 0), 1, np.random.default_rng(0))
    # SWIM: |w|_weighted = ln 3 / distance, so steep units are close rows.
    distance = np.log(3) / np.sqrt((units.dense_weight.astype(float) ** 2 / weight[:, None]).sum(0))
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, ROWS, (2, 4000))
    differ = truth[a] != truth[b]
    chance = np.sqrt(((encoded[a] - encoded[b]) ** 2 * weight).sum(1))[differ]
    assert np.median(distance) < 0.8 * np.median(chance)


def test_pairs_of_identical_rows_stay_finite():
    encoded = np.ones((10, 3), np.float32)
    targets = np.eye(2, dtype=np.float32)[np.arange(10) % 2]
    units = draw_units(encoded, targets, np.full(3, 1 / 3, np.float32), WIDTHS, 1, np.random.default_rng(0))
    assert np.isfinite(units.activate(encoded)).all()


def test_leaf_units_are_ands_of_steps_through_a_row():
    encoded, *_ = table_of()
    counts = []
    for steps, offset in leaf_units(draw()):
        counts.append(len(steps))
        assert offset == len(steps) - 1
        assert {abs(slope) for _, slope, _ in steps} == {LEAF_SLOPE}
        assert len({column for column, _, _ in steps}) == len(steps)
        # One row lies on all of its thresholds.
        thresholds = np.stack([np.abs(encoded[:, c] + bias / slope) for c, slope, bias in steps], axis=1)
        assert thresholds.max(1).min() < 1e-5
    assert set(counts) == {1, 2, 3}


def test_a_leaf_is_open_only_where_all_its_steps_are():
    columns = np.zeros((1, 8), np.int32)
    columns[0, :2] = 0, 1
    slope = np.zeros((1, 8, 3), np.float32)
    slope[0, 0, 0], slope[0, 1, 1] = 40, -40
    none = Units.none(2)
    units = Units(
        none.dense_weight, none.dense_bias, none.sparse_column, none.sparse_weight, none.sparse_bias,
        columns, slope, np.array([[0, 0, -30]], np.float32), np.array([[1]], np.float32),
    )  # fmt: skip
    rows = np.array([[1, -1], [1, 1], [-1, -1], [-1, 1]], np.float32)
    assert np.allclose(units.activate(rows)[:, 0], [1, 0, 0, 0], atol=1e-6)


def test_the_same_seed_draws_the_same_units():
    first, again, other = draw(seed=4), draw(seed=4), draw(seed=5)
    assert np.array_equal(first.dense_weight, again.dense_weight)
    assert np.array_equal(first.leaf_bias, again.leaf_bias)
    assert not np.array_equal(first.sparse_weight, other.sparse_weight)
