"""What every drawn table keeps to: sizes, classes, missing cells, and the same bits for the same seed."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from modelgpt_edge.training.priors import draw_sizes, draw_table

SHAPES = [(64, 4, 2), (64, 12, 5), (150, 8, 10), (300, 10, 2), (300, 10, 0), (700, 25, 4), (1200, 60, 3), (80, 4, 0)]
DIGEST = """
import hashlib
import numpy as np
from modelgpt_edge.training.priors import draw_table
d = draw_table(np.random.default_rng(5), 200, 9, 3)
print(hashlib.sha256(b"".join(x.tobytes() for x in (d.numbers, d.codes, d.sizes, d.targets))).hexdigest())
"""


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Systems of a few hundred rows are solved faster by one thread than by many."""
    with threadpool_limits(1, "blas"):
        yield


@pytest.fixture(scope="module")
def tables(one_thread):
    return [(shape, draw_table(np.random.default_rng([seed, *shape]), *shape)) for shape in SHAPES for seed in range(8)]


def test_the_same_seed_gives_the_same_bits_in_another_process():
    table = draw_table(np.random.default_rng(5), 200, 9, 3)
    here = hashlib.sha256(b"".join(x.tobytes() for x in (table.numbers, table.codes, table.sizes, table.targets))).hexdigest()
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    ran = subprocess.run([sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True, env=environment)
    assert ran.stdout.strip() == here
    other = draw_table(np.random.default_rng(6), 200, 9, 3)
    assert not np.array_equal(other.targets, table.targets)


def test_the_prior_imports_numpy_alone():
    code = (
        "import sys, modelgpt_edge.training.priors; "
        "print([m for m in ('torch', 'sklearn', 'scipy', 'pandas') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_every_class_occurs_in_four_rows_and_two_percent(tables):
    for (rows, _, classes), table in tables:
        if classes:
            counts = np.bincount(table.targets, minlength=classes)
            assert table.targets.dtype == np.int32
            assert table.classes == classes == len(counts)
            assert counts.sum() == rows
            assert counts.min() >= max(4, 0.02 * rows)


def test_regression_values_are_finite_and_standardised(tables):
    for (rows, _, classes), table in tables:
        if not classes:
            assert table.classes == 0
            assert table.targets.dtype == np.float32
            assert table.targets.shape == (rows,)
            assert table.targets.mean() == pytest.approx(0, abs=1e-3)
            assert table.targets.std() == pytest.approx(1, abs=0.02)


def test_columns_are_as_many_as_asked(tables):
    for (rows, columns, _), table in tables:
        assert table.numbers.shape[0] == table.codes.shape[0] == rows
        assert table.numbers.shape[1] + table.codes.shape[1] == columns
        assert (table.numbers.dtype, table.codes.dtype, table.sizes.dtype) == (np.float32, np.int32, np.int32)
        assert table.sizes.shape == (table.codes.shape[1],)


def test_every_category_occurs_and_none_beyond(tables):
    for _, table in tables:
        for column, size in zip(table.codes.T, table.sizes):
            assert set(np.unique(column)) - {-1} == set(range(size))
            assert size >= 2


def test_missing_cells_are_nan_and_minus_one_in_a_part_of_the_tables(tables):
    gaps = [np.isnan(t.numbers).mean() if t.numbers.size else 0 for _, t in tables]
    holes = [(t.codes == -1).mean() if t.codes.size else 0 for _, t in tables]
    either = np.array([a > 0 or b > 0 for a, b in zip(gaps, holes)])
    assert max(gaps) > 0
    assert max(holes) > 0
    assert 0.1 < either.mean() < 0.6
    for _, table in tables:
        assert not np.isinf(table.numbers).any()
        assert np.isnan(table.numbers).mean(0).max(initial=0) < 0.75


def test_tables_are_of_numbers_of_categories_and_of_both(tables):
    share = np.array([t.codes.shape[1] / c for (_, c, _), t in tables])
    assert (share == 0).any()
    assert (share == 1).any()
    assert ((share > 0.1) & (share < 0.9)).mean() > 0.2


def test_sizes_stay_in_range_and_two_classes_are_the_most_common():
    drawn = [draw_sizes(np.random.default_rng(seed)) for seed in range(2000)]
    rows, columns, classes = (np.array([getattr(d, name) for d in drawn]) for name in ("rows", "columns", "classes"))
    assert (rows.min(), rows.max()) >= (64, 1900)
    assert rows.max() <= 2000
    assert columns.min() == 4
    assert 55 <= columns.max() <= 60
    assert np.median(columns) < 20
    assert set(classes) == {0, *range(2, 11)}
    assert 0.10 < (classes == 0).mean() < 0.15
    assert 0.45 < (classes == 2).mean() < 0.6
    assert (rows >= 12 * classes)[classes > 2].all()


def test_more_classes_than_rows_can_fill_still_gives_a_table():
    table = draw_table(np.random.default_rng(0), 24, 3, 10)
    assert np.bincount(table.targets, minlength=10).min() >= 1
