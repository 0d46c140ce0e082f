"""The operations as callers see them: plain torch on the CPU, and what they refuse."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch  # noqa: TID251 - operands are torch tensors

from modelgpt_edge.errors import InputError
from modelgpt_edge.kernels.emit import emit
from modelgpt_edge.kernels.emit import naive as emit_naive
from modelgpt_edge.kernels.gram import gram
from modelgpt_edge.kernels.gram.batch import BatchUnits
from modelgpt_edge.kernels.launch import list_tiles
from modelgpt_edge.kernels.merge import merge
from modelgpt_edge.kernels.ragged import Ragged

CPU, F32 = torch.device("cpu"), torch.float32


@pytest.fixture
def factors(draw):
    return draw([(3, 2), (5, 4)], F32, CPU), draw([(2, 7), (4, 1)], F32, CPU, 1)


@pytest.fixture
def without_triton(monkeypatch):
    """None in sys.modules makes an import fail."""
    for operation in ("emit", "merge", "gram"):
        monkeypatch.setitem(sys.modules, f"modelgpt_edge.kernels.{operation}.triton", None)


@pytest.mark.usefixtures("without_triton")
def test_the_cpu_takes_plain_torch(factors, draw):
    left, right = factors
    bias = draw([(1, 7), (1, 1)], F32, CPU)
    scale = torch.tensor([2.0, 3.0])
    made = emit(left, right, torch.float16, scale=scale, bias=bias)
    wanted = emit_naive.emit(left, right, torch.float16, scale, bias)
    assert all(torch.equal(a, b) for a, b in zip(made.values, wanted.values))

    base = draw([(3, 7), (5, 1)], F32, CPU)
    merged = merge(base, left, right, torch.zeros(2, 1), F32)
    assert all(torch.equal(a, b) for a, b in zip(merged.values, base))

    inputs, targets = draw([(6, 2)], F32, CPU), draw([(6, 1)], F32, CPU)
    units = BatchUnits(draw([(3, 4 + 3)], F32, CPU), draw([(1, 1)], F32, CPU))
    assert gram(inputs, targets, units)[0].gram.shape == (7, 7)


@pytest.mark.gpu
def test_a_gpu_takes_triton(factors, monkeypatch):
    monkeypatch.setitem(sys.modules, "modelgpt_edge.kernels.emit.naive", None)
    left, right = (Ragged(f.data.cuda(), f.offset, f.rows, f.columns) for f in factors)
    assert emit(left, right, F32).values.data.is_cuda


def test_what_does_not_fit_is_refused_with_its_group(factors, draw):
    left, right = factors
    with pytest.raises(InputError, match=r"group 1.*seen: 5\)\. It must be 4"):
        emit(left, draw([(2, 7), (5, 1)], F32, CPU), F32)
    with pytest.raises(InputError, match=r"another number of groups \(seen: 1\)\. Pass 2"):
        emit(left, right.take(np.array([0])), F32)
    with pytest.raises(InputError, match=r"differ in type or device \(seen: 'torch.float16 on cpu'\)"):
        emit(left, draw([(2, 7), (4, 1)], torch.float16, CPU), F32)
    with pytest.raises(InputError, match=r"the scale has another shape \(seen: \(3,\)\)\. It must be \(2,\)"):
        emit(left, right, F32, scale=torch.ones(3))
    with pytest.raises(InputError, match="columns of the bias"):
        emit(left, right, F32, bias=draw([(1, 7), (1, 2)], F32, CPU))
    with pytest.raises(InputError, match="rows of the left factor"):
        merge(draw([(4, 7), (5, 1)], F32, CPU), left, right, torch.ones(2, 1), F32)
    with pytest.raises(InputError, match="the scale has another shape"):
        merge(draw([(3, 7), (5, 1)], F32, CPU), left, right, torch.ones(2, 2), F32)
    inputs, targets, offset = draw([(6, 2)], F32, CPU), draw([(6, 1)], F32, CPU), draw([(1, 3)], F32, CPU)
    with pytest.raises(InputError, match="rows of the units' weights"):
        gram(inputs, targets, BatchUnits(draw([(2, 9)], F32, CPU), offset))
    with pytest.raises(InputError, match="columns of the units' weights"):
        gram(inputs, targets, BatchUnits(draw([(3, 8)], F32, CPU), offset))


def test_a_matrix_beyond_its_buffer_is_refused():
    one = np.ones(1, np.int64)
    with pytest.raises(InputError, match="ends beyond the buffer"):
        Ragged(torch.zeros(5), one, 2 * one, 3 * one)
    with pytest.raises(InputError, match="negative"):
        Ragged(torch.zeros(5), -one, one, one)
    with pytest.raises(InputError, match="isn't flat"):
        Ragged(torch.zeros(5, 2), one, one, one)


def test_ragged_matrices_keep_their_values_and_share_a_batch():
    matrices = [torch.randn(3, 5), torch.randn(0, 2), torch.randn(1, 16)]
    packed = Ragged.of(matrices)
    assert all(torch.equal(a, b) for a, b in zip(packed, matrices))
    assert (packed.offset % 16 == 0).all()
    assert packed.unit == 1
    batch = torch.randn(4, 2, 8)
    view = Ragged.batch(batch)
    assert view.data.data_ptr() == batch.data_ptr()
    assert torch.equal(view.take(np.array([3]))[0], batch[3])
    assert view.unit == 8


@pytest.mark.parametrize("whole", [False, True])
def test_tiles_cover_every_cell_once(whole):
    rows, columns = np.array([5, 0, 70, 1, 3]), np.array([130, 4, 64, 1, 0])
    rows_each = 70 if whole else 32
    seen = [np.zeros((m, n), int) for m, n in zip(rows, columns)]
    strips = set()
    for group, row, strip in list_tiles(rows, columns, rows_each, 64, whole=whole).tolist():
        seen[group][row : row + rows_each, strip * 64 : strip * 64 + 64] += 1
        strips.add((group, strip))
    assert all((s == 1).all() for s in seen)
    assert ((1, 0) in strips) == whole
