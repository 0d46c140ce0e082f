"""Units kept of many and packed anew: units of the old, each at most once, that say what they said."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from modelgpt_edge.child import Units
from modelgpt_edge.parameters.packing import keep_units
from modelgpt_edge.parameters.units import DRAW, OFF, Widths, draw_units


def drawn(columns=12, draws=2, rows=150, seed=0):
    """Units that were really drawn, rows to activate them on, and a worth of each unit."""
    rng = np.random.default_rng(seed)
    encoded = rng.normal(size=(rows, columns)).astype(np.float32)
    targets = np.eye(3, dtype=np.float32)[rng.integers(0, 3, rows)]
    weight = rng.dirichlet(np.ones(columns)).astype(np.float32)
    units = draw_units(encoded, targets, weight, DRAW, draws, rng)
    return units, encoded, rng.random(units.count).astype(np.float32)


def kinds(units, values):
    """Values (..., P) of the dense, sparse and leaf units."""
    return np.split(values, np.cumsum(units.counts)[:2], axis=-1)


def padding(units):
    """(P,) whether a unit reads nothing at all, as one does that fills a group up."""
    dense = np.zeros(units.counts[0], bool)
    sparse = ~units.sparse_weight.any(1) & (units.sparse_bias == 0)
    groups, size = units.leaf_offset.shape
    leaf = ~units.leaf_slope.any(1).reshape(groups, 3, size).any(1) & (units.leaf_bias.reshape(groups, 3, size) == OFF).all(1)
    return np.concatenate([dense, sparse.ravel(), leaf.ravel()])


def taken_from(units, kept, encoded):
    """By kind, the place of the old unit that each kept one is, padding left out; how far the two are apart at most."""
    empty, places, apart = padding(kept), [], 0.0
    old, new = units.activate(encoded), kept.activate(encoded)
    for before, after, left_out in zip(kinds(units, old), kinds(kept, new), kinds(kept, empty)):
        distance = cdist(after[:, ~left_out].T, before.T, "chebyshev")
        _, place = linear_sum_assignment(distance)  # no old unit is given to two
        places.append(place)
        apart = max([apart, *distance[np.arange(len(place)), place]])
    return places, apart


@pytest.mark.parametrize("columns", [1, 2, 12, 40, 200])
@pytest.mark.parametrize("total", [20, 40, 160, 640])
def test_kept_units_are_units_of_the_old_each_once_and_as_many_as_asked(columns, total):
    units, encoded, worth = drawn(columns)
    widths = Widths().scaled(total)
    kept = keep_units(units, worth, widths)
    assert kept.counts == (widths.dense + widths.pair, widths.sparse, widths.leaf)
    assert kept.count == total
    places, apart = taken_from(units, kept, encoded)
    assert apart < 2e-6
    assert all(len(set(place)) == len(place) for place in places)


@pytest.mark.parametrize("columns", [1, 3, 12, 200])
def test_no_unit_reads_more_than_three_columns_and_no_group_one_column_twice(columns):
    units, _, worth = drawn(columns)
    kept = keep_units(units, worth, Widths().scaled(320))
    assert kept.sparse_column.shape[1] == kept.leaf_column.shape[1] == 8
    assert (np.count_nonzero(kept.sparse_weight, axis=1) <= 3).all()
    assert (np.count_nonzero(kept.leaf_slope, axis=1) <= 1).all()
    for columns_of, weight in ((kept.sparse_column, kept.sparse_weight), (kept.leaf_column, kept.leaf_slope)):
        assert ((columns_of >= 0) & (columns_of < columns)).all()
        for read, group in zip(columns_of, weight):
            used = read[group.any(1)]
            assert len(set(used)) == len(used) <= 8


def test_dense_units_are_the_worthiest_and_sparse_ones_are_far_worthier_than_the_rest():
    units, encoded, worth = drawn(columns=40, draws=4)
    kept = keep_units(units, worth, Widths().scaled(160))
    (_, *grouped), _ = taken_from(units, kept, encoded)
    dense_worth, *grouped_worth = kinds(units, worth)
    best = np.sort(np.argsort(-dense_worth)[: kept.counts[0]])
    assert np.array_equal(kept.dense_weight, units.dense_weight[:, best])
    assert np.array_equal(kept.dense_bias, units.dense_bias[best])
    for place, value in zip(grouped, grouped_worth):
        assert value.argmax() in place, "the first group is packed around the worthiest"
        assert value[place].mean() > np.quantile(value, 0.75)


def test_where_all_units_read_the_same_eight_columns_the_worthiest_are_kept_of_every_kind():
    units, encoded, worth = drawn(columns=8)
    kept = keep_units(units, worth, Widths().scaled(160))
    places, _ = taken_from(units, kept, encoded)
    for place, value, count in zip(places, kinds(units, worth), kept.counts):
        assert set(place) == set(np.argsort(-value, kind="stable")[:count])


def apart_units():
    """Four groups of four units, sparse and leaf, that share no column with another group's."""
    column = np.arange(32, dtype=np.int32).reshape(4, 8)
    weight = np.zeros((4, 8, 4), np.float32)
    slope, bias = np.zeros((4, 8, 12), np.float32), np.full((4, 12), OFF, np.float32)
    for unit in range(4):
        weight[:, 2 * unit : 2 * unit + 2, unit] = 1 + unit
        for step in range(2):
            slope[:, 2 * unit + step, 4 * step + unit] = 4
            bias[:, 4 * step + unit] = 1
    sparse = (column, weight, np.ones((4, 4), np.float32))
    leaf = (column, slope, bias, np.ones((4, 4), np.float32))
    return Units(np.zeros((32, 0), np.float32), np.zeros(0, np.float32), *sparse, *leaf)


def test_a_group_that_no_more_units_fit_into_is_filled_up_with_silent_ones():
    """Sixteen are asked for in one group of eight columns, but no eight columns hold more than four."""
    units = apart_units()
    kept = keep_units(units, np.arange(32, dtype=np.float32), Widths(16, 0, 0, 16))
    assert kept.counts == (0, 16, 16)
    empty = padding(kept)
    assert [e.sum() for e in kinds(kept, empty)[1:]] == [12, 12]
    encoded = np.random.default_rng(0).normal(size=(50, 32)).astype(np.float32)
    hidden = kept.activate(encoded)
    assert not hidden[:, empty].any()
    assert hidden[:, ~empty].any(0).all()
    places, apart = taken_from(units, kept, encoded)
    assert apart < 1e-6
    assert [sorted(place) for place in places] == [[], [12, 13, 14, 15], [12, 13, 14, 15]], "those of the worthiest's columns"


def test_a_column_that_stands_twice_in_a_group_is_read_as_one():
    units = apart_units()
    twice = units.sparse_column.copy()
    twice[:, 1] = twice[:, 0]  # the first unit of each group reads one column by two weights
    units = Units(*(twice if name in ("sparse_column", "leaf_column") else value for name, value in vars(units).items()))
    kept = keep_units(units, np.ones(32, np.float32), Widths(4, 0, 0, 4))
    encoded = np.random.default_rng(0).normal(size=(50, 32)).astype(np.float32)
    places, apart = taken_from(units, kept, encoded)
    assert apart < 1e-6
    assert [len(place) for place in places] == [0, 4, 4]


def test_none_are_kept_where_none_are_asked_for():
    units, encoded, worth = drawn()
    kept = keep_units(units, worth, Widths(0, 0, 0, 0))
    assert kept.counts == (0, 0, 0)
    assert kept.activate(encoded).shape == (150, 0)


def test_what_is_kept_depends_on_its_arguments_alone():
    units, _, worth = drawn()
    before = [value.copy() for value in vars(units).values()]
    one, two = (vars(keep_units(units, worth, Widths().scaled(80))) for _ in range(2))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert all(np.array_equal(value, old) for value, old in zip(vars(units).values(), before)), "nothing is changed in place"
