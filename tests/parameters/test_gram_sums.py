"""Running sums over rows against one numpy product in float64."""

import numpy as np
import pytest

from modelgpt_edge.kernels.gram import GramSums, add_rows
from modelgpt_edge.kernels.gram.host import BLOCK


def rows_of(count, seed=0):
    rng = np.random.default_rng(seed)
    inputs = rng.normal(2, 1, (count, 4)).astype(np.float32)
    return inputs, rng.normal(size=(count, 2)).astype(np.float32)


def features(inputs):
    return np.concatenate([inputs, np.tanh(inputs)], axis=1)


@pytest.mark.parametrize("count", [1, 100, BLOCK, BLOCK + 1, 3 * BLOCK + 17])
def test_sums_equal_numpy(count):
    inputs, targets = rows_of(count)
    sums = GramSums.zeros(8, 2)
    add_rows(sums, inputs, targets, features)
    f, y = features(inputs).astype(np.float64), targets.astype(np.float64)
    assert sums.rows == count
    for got, expected in ((sums.gram, f.T @ f), (sums.cross, f.T @ y), (sums.features, f.sum(0)), (sums.targets, y.sum(0))):
        assert got.dtype == np.float64
        assert np.abs(got - expected).max() < 3e-6 * max(1, np.abs(f.T @ f).max())


def test_sums_of_parts_are_the_sums_of_the_whole():
    inputs, targets = rows_of(1000)
    whole, parts = GramSums.zeros(8, 2), GramSums.zeros(8, 2)
    add_rows(whole, inputs, targets, features)
    for start in range(0, 1000, 137):
        add_rows(parts, inputs[start : start + 137], targets[start : start + 137], features)
    assert parts.rows == whole.rows
    assert np.allclose(parts.gram, whole.gram, rtol=1e-5)


def test_no_rows_add_nothing():
    sums = GramSums.zeros(8, 2)
    add_rows(sums, np.zeros((0, 4), np.float32), np.zeros((0, 2), np.float32), features)
    assert sums.rows == 0
    assert not sums.gram.any()


def test_small_increments_are_not_lost_beside_a_large_sum():
    """2^24 + 1 is not a float32: sums in float32 would stand still."""
    sums = GramSums.zeros(1, 1)
    sums.gram[:] = sums.features[:] = 2.0**24
    one = np.ones((1, 1), np.float32)
    for _ in range(10):
        add_rows(sums, one, one, lambda block: block)
    assert sums.gram[0, 0] == sums.features[0] == 2.0**24 + 10


def test_features_are_never_held_for_more_than_a_block():
    seen = []

    def watched(inputs):
        seen.append(len(inputs))
        return features(inputs)

    inputs, targets = rows_of(2 * BLOCK + 5)
    add_rows(GramSums.zeros(8, 2), inputs, targets, watched)
    assert max(seen) <= BLOCK
    assert sum(seen) == len(inputs)
