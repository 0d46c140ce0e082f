"""Gram sums in Triton against float64, its units against the child's own, and the sums against the host's."""

from __future__ import annotations

import numpy as np
import pytest
import torch  # noqa: TID251 - operands are torch tensors

from modelgpt_edge.kernels import shapes
from modelgpt_edge.kernels.gram import GramSums, add_rows, naive
from modelgpt_edge.kernels.gram import triton as fast
from modelgpt_edge.kernels.gram.batch import BatchUnits
from modelgpt_edge.kernels.ragged import Ragged
from modelgpt_edge.kernels.shapes import Table
from modelgpt_edge.parameters.units import Widths, draw_units

F32 = torch.float32
# One of everything, primes, more columns than a tile and inputs than a block, multiples of 16, a kind that is missing, no row.
TABLES = [
    Table(1, 1, 1, 1, 1),
    Table(37, 5, 7, 3, 2),
    Table(33, 19, 67, 0, 3),
    Table(50, 3, 0, 5, 1),
    Table(16, 16, 16, 16, 2),
    Table(4, 2, 0, 0, 1),
    Table(0, 3, 2, 1, 2),
]


@pytest.fixture
def tables(draw, place):
    """Rows, targets and units of tables."""

    def drawn(sizes, seed=0):
        inputs = draw([(t.rows, t.columns) for t in sizes], F32, place, seed)
        targets = draw([(t.rows, t.outputs) for t in sizes], F32, place, seed + 1)
        weight = draw([(t.columns + 1, t.tanh + 3 * t.leaf) for t in sizes], F32, place, seed + 2)
        rng = np.random.default_rng(seed)
        offset = Ragged.of([torch.from_numpy(rng.integers(0, 3, (1, t.leaf))).to(F32).to(place) for t in sizes])
        return inputs, targets, BatchUnits(weight, offset)

    return drawn


@pytest.fixture
def reference(exact):
    def summed(inputs, targets, units):
        return naive.gram(exact(inputs), exact(targets), BatchUnits(exact(units.weight), exact(units.offset)))

    return summed


def test_sums(tables, reference, assert_close):
    given = tables(TABLES)
    got, wanted = fast.gram(*given), reference(*given)
    for g, table in enumerate(TABLES):
        matrix = got.matrix[g]
        assert torch.equal(matrix, matrix.T)
        assert matrix.dtype == torch.float64
        if table.rows:
            assert_close(matrix, wanted.matrix[g], table.rows + table.columns, kind=F32)
        else:
            assert not matrix.any()
        assert int(got.rows[g]) == table.rows
        assert matrix[table.features, table.features] == table.rows


def test_more_rows_than_a_segment(tables, reference, assert_close, monkeypatch):
    monkeypatch.setattr(fast, "SEGMENT", fast.BLOCK)
    given = tables([Table(3 * fast.BLOCK + 5, 2, 3, 2, 1)])
    assert_close(fast.gram(*given).matrix[0], reference(*given).matrix[0], fast.BLOCK, kind=F32)


def test_sums_go_on_in_float64(tables, place, monkeypatch):
    """2^24 + 1 is not a float32: a sum in float32 alone would stand still."""
    monkeypatch.setattr(fast, "SEGMENT", fast.BLOCK)
    inputs = torch.zeros(5 * fast.BLOCK, 1, device=place)
    inputs[:: fast.BLOCK] = 1
    inputs[0] = 2.0**12
    _, targets, units = tables([Table(5 * fast.BLOCK, 1, 0, 0, 1)])
    assert fast.gram(Ragged.of([inputs]), targets, units)[0].gram.item() == 2.0**24 + 4


def test_a_table_alone_and_in_a_batch_gives_the_same_bits(tables):
    inputs, targets, units = tables(TABLES[:3])
    together = fast.gram(inputs, targets, units)
    for g in range(3):
        one = np.array([g])
        alone = fast.gram(inputs.take(one), targets.take(one), BatchUnits(units.weight.take(one), units.offset.take(one)))
        assert torch.equal(alone.matrix[0], together.matrix[g])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the interpreter is numpy
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nan_and_infinity_go_on_to_what_they_touch(tables, reference, bad):
    given = tables([Table(20, 3, 2, 2, 2)])
    given[0][0][7, 1] = bad
    got, wanted = fast.gram(*given).matrix[0].cpu(), reference(*given).matrix[0]
    assert torch.equal(got.isfinite(), wanted.isfinite())
    assert torch.equal(got.isnan(), wanted.isnan())


def test_no_table_gives_nothing(tables):
    inputs, targets, units = tables(TABLES)
    none = np.zeros(0, np.int64)
    made = fast.gram(inputs.take(none), targets.take(none), BatchUnits(units.weight.take(none), units.offset.take(none)))
    assert len(made.matrix) == 0


@pytest.fixture(scope="module")
def drawn_units():
    """Units as a build draws them, of two draws, over few columns so that groups hold one twice."""
    rng = np.random.default_rng(3)
    encoded = rng.normal(size=(120, 5)).astype(np.float32)
    targets = np.eye(3, dtype=np.float32)[rng.integers(0, 3, 120)]
    weight = np.full(5, 0.2, np.float32)
    return encoded, targets, draw_units(encoded, targets, weight, Widths(16, 8, 8, 12), 2, rng)


def test_dense_units_are_the_childs_own(drawn_units):
    encoded, _, units = drawn_units
    assert any(len(set(group)) < len(group) for group in units.sparse_column.tolist())
    dense = BatchUnits.of([units], torch.device("cpu"))
    got = naive.activate(torch.from_numpy(encoded), dense.weight[0], dense.offset[0])
    assert np.abs(got.numpy() - units.activate(encoded)).max() < 1e-5


def test_sums_are_the_hosts(drawn_units, place):
    encoded, targets, units = drawn_units
    host = GramSums.zeros(5 + units.count, 3)
    add_rows(host, encoded, targets, lambda rows: np.concatenate([rows, units.activate(rows)], axis=1))
    inputs, labels = (Ragged.of([torch.from_numpy(a).to(place)]) for a in (encoded, targets))
    got = fast.gram(inputs, labels, BatchUnits.of([units], place)).host(0)
    assert got.rows == host.rows == 120
    for name in ("gram", "cross", "features", "targets"):
        mine, theirs = getattr(got, name), getattr(host, name)
        assert mine.shape == theirs.shape
        assert np.abs(mine - theirs).max() < 1e-5 * max(1, np.abs(theirs).max())


def test_plain_torch_against_numpy(tables):
    (table,) = sizes = [Table(41, 4, 6, 5, 2)]
    inputs, targets, units = tables(sizes)
    x, y, w, o = (m[0].cpu().double().numpy() for m in (inputs, targets, units.weight, units.offset))
    z = x @ w[:-1] + w[-1]
    steps = 1 / (1 + np.exp(-z[:, 6:])).reshape(41, 3, 5)
    f = np.concatenate([x, np.tanh(z[:, :6]), np.maximum(steps.sum(1) - o, 0)], axis=1)
    exact = [Ragged.of([m[0].double().cpu()]) for m in (inputs, targets, units.weight, units.offset)]
    made = naive.gram(exact[0], exact[1], BatchUnits(exact[2], exact[3]))[0]
    assert made.gram.shape == (table.features, table.features)
    for got, wanted in zip(made, (f.T @ f, f.T @ y, f.sum(0), y.sum(0))):
        assert np.allclose(got.numpy(), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [*shapes.TABLES, shapes.WIDE_TABLE, shapes.LONG_TABLE])
@pytest.mark.parametrize("requests", shapes.REQUESTS[:2])
def test_tables_at_full_size(tables, reference, assert_close, shape, requests):
    given = tables([shape])
    index = np.zeros(requests, np.int64)
    units = BatchUnits(given[2].weight.take(index), given[2].offset.take(index))
    got, wanted = fast.gram(given[0].take(index), given[1].take(index), units), reference(*given)
    assert_close(got.matrix[0], wanted.matrix[0], min(shape.rows, fast.SEGMENT) + shape.columns, kind=F32)
    for g in range(1, requests):
        assert torch.equal(got.matrix[g], got.matrix[0])
