"""Emission in Triton against plain torch in float64, and plain torch against numpy."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest
import torch  # noqa: TID251 - operands are torch tensors

from modelgpt_edge.kernels import shapes
from modelgpt_edge.kernels.emit import naive
from modelgpt_edge.kernels.emit import triton as fast
from modelgpt_edge.kernels.launch import table
from modelgpt_edge.kernels.ragged import Ragged

F32, F16, BF16, I8 = torch.float32, torch.float16, torch.bfloat16, torch.int8
# m, r, n: one, primes, beyond a tile by one, multiples of 16.
RAGGED = [(1, 1, 1), (17, 5, 13), (65, 33, 67), (128, 16, 64), (3, 64, 130), (131, 7, 2)]
EMPTY = [(0, 4, 5), (4, 0, 5), (4, 3, 0), (0, 0, 0), (2, 2, 2)]


@pytest.fixture
def factors(draw, place):
    def drawn(sizes, kind, seed=0):
        left = draw([(m, r) for m, r, _ in sizes], kind, place, seed)
        return left, draw([(r, n) for _, r, n in sizes], kind, place, seed + 1)

    return drawn


@pytest.fixture
def extras(draw, place):
    """A scale for each group and a bias for each column."""

    def drawn(sizes):
        scale = torch.linspace(0.5, 2, len(sizes), device=place)
        return scale, draw([(1, n) for _, _, n in sizes], F32, place, 9)

    return drawn


@pytest.mark.parametrize(("held", "kind"), [(F32, F32), (F16, F16), (BF16, BF16), (F16, F32), (F32, BF16), (F32, F16)])
@pytest.mark.parametrize("sizes", [RAGGED, EMPTY], ids=["ragged", "empty"])
def test_floats(factors, extras, exact, assert_close, held, kind, sizes):
    left, right = factors(sizes, held)
    scale, bias = extras(sizes)
    got = fast.emit(left, right, kind, scale, bias)
    wanted = naive.emit(exact(left), exact(right), torch.float64, scale.double().cpu(), exact(bias))
    assert got.steps is None
    for g, (_, r, _) in enumerate(sizes):
        assert got.values[g].dtype == kind
        assert_close(got.values[g], wanted.values[g], r)


@pytest.mark.parametrize("held", [F32, F16, BF16])
@pytest.mark.parametrize("sizes", [RAGGED, EMPTY], ids=["ragged", "empty"])
def test_int8(factors, extras, exact, assert_codes, held, sizes):
    left, right = factors(sizes, held)
    scale, bias = extras(sizes)
    got = fast.emit(left, right, I8, scale, bias)
    wanted = naive.emit(exact(left), exact(right), torch.float64, scale.double().cpu(), exact(bias))
    for g, (_, r, _) in enumerate(sizes):
        assert_codes(got.values[g], got.steps[g], wanted.values[g], r)


def test_scale_and_bias_may_be_left_out(factors, exact, assert_close):
    left, right = factors(RAGGED, F32)
    got = fast.emit(left, right, F32, None, None)
    for g, (_, r, _) in enumerate(RAGGED):
        assert_close(got.values[g], exact(left)[g] @ exact(right)[g], r)


@pytest.mark.parametrize("kind", [F16, I8])
def test_a_request_alone_and_in_a_batch_gives_the_same_bits(factors, extras, kind):
    left, right = factors(RAGGED, F16)
    scale, bias = extras(RAGGED)
    together = fast.emit(left, right, kind, scale, bias)
    for g in range(len(RAGGED)):
        one = np.array([g])
        alone = fast.emit(left.take(one), right.take(one), kind, scale[g : g + 1], bias.take(one))
        assert torch.equal(alone.values[0], together.values[g])
        assert together.steps is None or torch.equal(alone.steps[0], together.steps[g])


def test_a_shared_basis_stands_once(factors, draw, place, exact, assert_close):
    codes = draw([(5, 8), (70, 8), (1, 8)], F32, place)
    basis = draw([(8, 20)], F32, place, 1)
    got = fast.emit(codes, basis.take(np.zeros(3, np.int64)), F32, None, None)
    for g in range(3):
        assert_close(got.values[g], exact(codes)[g] @ exact(basis)[0], 8)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the interpreter is numpy
@pytest.mark.parametrize("kind", [F32, F16, BF16])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinity_go_on_to_what_they_touch(draw, place, kind, bad):
    left, right = draw([(70, 3)], F32, place), draw([(3, 70)], F32, place, 1)
    left[0][5, 1] = bad
    got = fast.emit(left, right, kind, None, None).values[0].cpu()
    wanted = naive.emit(left, right, kind, None, None).values[0].cpu()
    finite = wanted.isfinite()
    assert not finite[5].any()
    assert torch.equal(got.isfinite(), finite)
    assert torch.equal(got[~finite], wanted[~finite]) or bad != bad
    assert torch.equal(got.isnan(), wanted.isnan())


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the interpreter is numpy
def test_numbers_beyond_a_float16_become_infinite(place):
    big = Ragged.of([torch.full((2, 1), 300.0, device=place)])
    right = Ragged.of([torch.full((1, 2), 300.0, device=place)])
    assert fast.emit(big, right, F16, None, None).values[0].isposinf().all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the interpreter is numpy
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_int8_of_a_broken_channel_is_nan_throughout(draw, place, bad):
    left, right = draw([(70, 3)], F32, place), draw([(3, 70)], F32, place, 1)
    right[0][1, 66] = bad
    for made in (fast.emit(left, right, I8, None, None), naive.emit(left, right, I8, None, None)):
        broken = torch.arange(70, device=place) == 66
        assert torch.equal(made.steps[0][0].isnan(), broken)
        assert (made.values[0][:, 66] == 0).all()
        assert torch.equal(made.floats(0).isnan().all(0), broken)


def test_int8_of_a_channel_of_zeros_is_zero(place):
    zeros = Ragged.of([torch.zeros(5, 3, device=place)])
    made = fast.emit(zeros, Ragged.of([torch.zeros(3, 4, device=place)]), I8, None, None)
    assert (made.values[0] == 0).all()
    assert (made.steps[0] > 0).all()


def test_halves_are_rounded_to_even(place):
    """As compile/precision.py rounds: with a largest of 127 a step is one."""
    column = torch.tensor([[127.0], [0.5], [1.5], [2.5], [-0.5], [-1.5], [0.49]], device=place)
    made = fast.emit(Ragged.of([column]), Ragged.of([torch.ones(1, 1, device=place)]), I8, None, None)
    assert made.values[0].flatten().tolist() == [127, 0, 2, 2, 0, -2, 0]


def test_addresses_beyond_two_to_the_31(place, tmp_path):
    """One tile at the end of matrices of 2.3e9 elements each, of whose memory only that end is ever touched."""
    if place.type != "cpu":
        pytest.skip("files are the host's; the full-size test does this on a GPU")
    m, r, n = 2**27, 17, 18
    row = m - 40
    c, w = _sparse(tmp_path / "c", m * r), _sparse(tmp_path / "w", m * n)
    b = torch.randn(r, n).half()
    c[row * r :] = torch.randn(40 * r).half()
    tiles = torch.tensor([[0, row, 0]], dtype=torch.int32)
    none = np.zeros(1, np.int64)
    groups = table(place, *(np.array([size]) for size in (m, r, n)), none, none, none, none, none)
    one = torch.ones(1)
    fast.emit_kernel[(1,)](c, b.flatten(), one, None, w, None, groups, tiles, 64, UC=1, UN=1, BN=64, BK=32)
    wanted = c[row * r :].view(40, r).double() @ b.double()
    assert (w[row * n :].view(40, n).double() - wanted).abs().max() < 2**-10 * wanted.abs().max()


def _sparse(path: Path, count: int) -> torch.Tensor:
    """Zeros in a file that takes room only where it is written: no machine need promise memory for the rest."""
    with path.open("wb+") as file:
        file.truncate(2 * count)
        return torch.frombuffer(mmap.mmap(file.fileno(), 2 * count), dtype=F16)


@pytest.mark.parametrize("kind", [torch.float64, I8])
def test_plain_torch_against_numpy(factors, extras, exact, kind):
    left, right = factors(RAGGED, F32)
    scale, bias = extras(RAGGED)
    made = naive.emit(exact(left), exact(right), kind, scale.double().cpu(), exact(bias))
    for g in range(len(RAGGED)):
        c, b, s = left[g].cpu().double().numpy(), right[g].cpu().double().numpy(), float(scale[g])
        weight = s * (c @ b) + bias[g].cpu().double().numpy()
        if kind == I8:
            step = np.maximum(np.abs(weight).max(0), 1e-9) / 127
            assert (made.values[g].numpy() == np.clip(np.rint(weight / step), -127, 127)).all()
            assert np.allclose(made.steps[g][0].numpy(), step, rtol=1e-6)
        else:
            assert np.allclose(made.values[g].numpy(), weight, rtol=1e-12, atol=1e-12)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", [F32, F16, BF16, I8])
@pytest.mark.parametrize("requests", shapes.REQUESTS)
def test_minilm_at_full_size(factors, exact, assert_close, assert_codes, kind, requests):
    sizes = [(layer.inputs, 16, layer.outputs) for layer in shapes.MINILM_LAYER]
    left, right = factors(sizes, F32 if kind == I8 else kind)
    index = np.tile(np.arange(len(sizes)), requests)
    got = fast.emit(left.take(index), right.take(index), kind, None, None)
    for g in (*range(len(sizes)), *range(len(index) - len(sizes), len(index))):
        wanted = exact(left)[int(index[g])] @ exact(right)[int(index[g])]
        if kind == I8:
            assert_codes(got.values[g], got.steps[g], wanted, 16)
        else:
            assert_close(got.values[g], wanted, 16)
    for g in range(len(index)):
        assert torch.equal(got.values[g], got.values[int(index[g])])


@pytest.mark.gpu
def test_a_weight_of_more_than_two_to_the_31_elements(factors, exact, assert_codes):
    m, r, n = 70_000, 16, 32_768
    left, right = factors([(m, r, n)], F16)
    got = fast.emit(left, right, I8, None, None)
    wanted = exact(left)[0] @ exact(right)[0][:, -64:]
    assert_codes(got.values[0][:, -64:], got.steps[0][:, -64:], wanted, r)
