"""Relevance against scipy's chi-square of quantile bins, and its analogue for values written out."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from modelgpt_edge.parameters.relevance import favour, relevance

BINS = 8


def bins_of(column):
    """Bin of each row: how many of the seven inner quantiles lie below it."""
    edges = np.quantile(column, np.linspace(0, 1, BINS + 1)[1:-1]).astype(np.float32)
    return (column[:, None] > edges).sum(1)


def floored(statistic):
    statistic = statistic + 0.1 * statistic.mean()
    return statistic / statistic.sum()


def columns(rows=300, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, rows)
    return truth, np.stack(
        [
            truth + rng.normal(size=rows),
            rng.normal(size=rows),
            (truth == 1) * 1.0,
            rng.integers(0, 4, rows) * 1.0,
            np.abs(truth - 1) + 0.3 * rng.normal(size=rows),
        ],
        axis=1,
    ).astype(np.float32)


def test_classes_get_the_chi_square_of_their_bins():
    truth, encoded = columns()
    expected = []
    for column in encoded.T:
        counts = np.zeros((BINS, 3))
        np.add.at(counts, (bins_of(column), truth), 1)
        expected.append(chi2_contingency(counts[counts.sum(1) > 0], correction=False).statistic)
    got = relevance(encoded, np.eye(3, dtype=np.float32)[truth])
    assert np.allclose(got, floored(np.array(expected)), rtol=1e-4)


def test_values_get_rows_times_the_share_of_variance_that_the_bins_explain():
    truth, encoded = columns()
    values = truth + np.random.default_rng(1).normal(size=len(truth))
    values = (values - values.mean()) / values.std()
    expected = []
    for column in encoded.T:
        bins = bins_of(column)
        means = np.array([values[bins == b].mean() if (bins == b).any() else 0 for b in range(BINS)])
        sizes = np.bincount(bins, minlength=BINS)
        expected.append((sizes * means**2).sum() / values.var())
    got = relevance(encoded, values.astype(np.float32)[:, None])
    assert np.allclose(got, floored(np.array(expected)), rtol=1e-3)


@pytest.mark.parametrize("classes", [2, 7])
def test_it_sums_to_one_and_rules_nothing_out(classes):
    rng = np.random.default_rng(2)
    truth = rng.integers(0, classes, 200)
    encoded = np.stack([truth, np.zeros(200), np.ones(200)], axis=1).astype(np.float32)
    got = relevance(encoded, np.eye(classes, dtype=np.float32)[truth])
    assert got.sum() == pytest.approx(1, abs=1e-6)
    assert (got > 0).all()
    # A useless column keeps a tenth of the mean, and no more.
    assert got[1] == pytest.approx(0.1 / 3 / 1.1, rel=1e-3)
    assert got[1] == got[2]


def test_columns_that_all_tell_nothing_are_equal():
    got = relevance(np.zeros((20, 4), np.float32), np.eye(2, dtype=np.float32)[np.arange(20) % 2])
    assert np.allclose(got, 0.25)


def test_a_class_without_rows_is_no_trouble():
    truth, encoded = columns()
    with_empty = np.concatenate([np.eye(3, dtype=np.float32)[truth], np.zeros((300, 1), np.float32)], axis=1)
    assert np.allclose(relevance(encoded, with_empty), relevance(encoded, with_empty[:, :3]), rtol=1e-5)


def test_named_columns_weigh_as_many_times_more_as_there_are_few_rows():
    weight = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    owners = ["age", "age", "zip", "bmi"]
    for rows, factor in ((32, 5), (64, 3), (128, 2), (1_280, 1.1)):
        expected = weight * np.array([factor, factor, 1, 1])
        found = favour(weight, owners, {"age"}, rows)
        np.testing.assert_allclose(found, expected / expected.sum(), rtol=1e-6)
        assert found.dtype == np.float32
    np.testing.assert_allclose(favour(weight, owners, {"age", "zip", "bmi"}, 10), weight, rtol=1e-6)


def test_without_names_relevance_is_what_the_rows_say():
    weight = np.array([0.25, 0.75], np.float32)
    assert favour(weight, ["a", "b"], (), 5) is weight
    assert np.array_equal(favour(weight, ["a", "b"], ("c",), 5), weight)
