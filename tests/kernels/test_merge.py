"""Merging in Triton against plain torch in float64, and plain torch against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch  # noqa: TID251 - operands are torch tensors

from modelgpt_edge.kernels import shapes
from modelgpt_edge.kernels.merge import naive
from modelgpt_edge.kernels.merge import triton as fast

F32, F16, BF16, I8 = torch.float32, torch.float16, torch.bfloat16, torch.int8
# m, n of each layer: one, primes, more than one strip and block of rows, multiples of 16, nothing.
LAYERS = [(1, 1), (17, 13), (131, 67), (64, 128), (0, 5), (5, 0)]


@pytest.fixture
def operands(draw, place):
    """Base, factors of each layer for each request, of ranks from nought on, and scales."""

    def drawn(layers, requests, kind, seed=0, rank=None):
        ranks = [rank if rank is not None else (4, 0, 16, 1, 33)[(pair * 7) % 5] for pair in range(len(layers) * requests)]
        each = [layer for layer in layers for _ in range(requests)]
        base = draw(layers, kind, place, seed)
        left = draw([(m, r) for (m, _), r in zip(each, ranks)], kind, place, seed + 1)
        right = draw([(r, n) for (_, n), r in zip(each, ranks)], kind, place, seed + 2)
        scale = torch.linspace(-1, 2, len(ranks), device=place).view(len(layers), requests)
        return base, left, right, scale

    return drawn


@pytest.fixture
def reference(exact):
    def merged(base, left, right, scale):
        return naive.merge(exact(base), exact(left), exact(right), scale.double().cpu(), torch.float64).values

    return merged


@pytest.mark.parametrize("kind", [F32, F16, BF16])
def test_floats(operands, reference, assert_close, kind):
    given = operands(LAYERS, 3, kind)
    got, wanted = fast.merge(*given, kind), reference(*given)
    assert len(got.values) == 18
    for pair in range(18):
        assert_close(got.values[pair], wanted[pair], 1 + int(given[1].columns[pair]))


@pytest.mark.parametrize("held", [F32, F16, BF16])
@pytest.mark.parametrize("requests", [1, 3])
def test_int8(operands, reference, assert_codes, held, requests):
    given = operands(LAYERS, requests, held)
    got, wanted = fast.merge(*given, I8), reference(*given)
    for pair in range(len(LAYERS) * requests):
        assert_codes(got.values[pair], got.steps[pair], wanted[pair], 1 + int(given[1].columns[pair]))


@pytest.mark.parametrize("kind", [F16, I8])
def test_more_requests_than_a_block(operands, reference, assert_close, assert_codes, kind):
    given = operands([(5, 7), (9, 66)], 19, F16, rank=3)
    got, wanted = fast.merge(*given, kind), reference(*given)
    for pair in range(38):
        if kind == I8:
            assert_codes(got.values[pair], got.steps[pair], wanted[pair], 4)
        else:
            assert_close(got.values[pair], wanted[pair], 4)


@pytest.mark.parametrize("kind", [F32, I8])
def test_a_request_alone_and_in_a_batch_gives_the_same_bits(operands, kind):
    base, left, right, scale = operands(LAYERS, 3, F32)
    together = fast.merge(base, left, right, scale, kind)
    for request in range(3):
        mine = np.arange(request, 3 * len(LAYERS), 3)
        alone = fast.merge(base, left.take(mine), right.take(mine), scale[:, request : request + 1], kind)
        for layer, pair in enumerate(mine):
            assert torch.equal(alone.values[layer], together.values[int(pair)])
            assert together.steps is None or torch.equal(alone.steps[layer], together.steps[int(pair)])


def test_rank_nought_leaves_the_base(operands):
    given = operands([(70, 65)], 2, F16, rank=0)
    got = fast.merge(*given, F16)
    assert torch.equal(got.values[0], given[0][0])
    assert torch.equal(got.values[1], given[0][0])


def test_no_request_gives_nothing(operands):
    base, left, right, scale = operands([(3, 4)], 1, F32)
    none = np.zeros(0, np.int64)
    assert len(fast.merge(base, left.take(none), right.take(none), scale[:, :0], F32).values) == 0


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the interpreter is numpy
@pytest.mark.parametrize("where", ["base", "factor"])
def test_nan_and_infinity_go_on_to_what_they_touch(operands, where):
    given = operands([(70, 66)], 2, F32, rank=3)
    if where == "base":
        given[0][0][2, 65] = float("inf")
    else:
        given[2][1][1, 65] = float("nan")
    got, wanted = fast.merge(*given, F32), naive.merge(*given, F32)
    for pair in range(2):
        assert torch.equal(got.values[pair].isfinite(), wanted.values[pair].isfinite())
        assert torch.equal(got.values[pair].isnan(), wanted.values[pair].isnan())
    assert not got.values[1].isfinite().all()
    for made in (fast.merge(*given, I8), naive.merge(*given, I8)):
        assert made.steps[1][0].isnan().nonzero().flatten().tolist() == [65]
        assert (made.values[1][:, 65] == 0).all()
        assert made.steps[0][0].isnan().any() == (where == "base")


def test_plain_torch_against_numpy(operands, reference):
    given = operands(LAYERS, 2, F32)
    base, left, right, scale = given
    wanted = reference(*given)
    for layer in range(len(LAYERS)):
        for request in range(2):
            pair = 2 * layer + request
            a, b, w = (x.cpu().double().numpy() for x in (left[pair], right[pair], base[layer]))
            expected = w + float(scale[layer, request]) * (a @ b)
            assert np.allclose(wanted[pair].numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.gpu
@pytest.mark.parametrize("kind", [F32, F16, BF16, I8])
@pytest.mark.parametrize("rank", shapes.RANKS)
def test_minilm_at_full_size(operands, assert_close, assert_codes, kind, rank):
    requests = 64
    layers = [(layer.inputs, layer.outputs) for layer in shapes.MINILM]
    given = operands(layers, requests, F16 if kind == I8 else kind, rank=rank)
    base, left, right, scale = given
    got = fast.merge(*given, kind)
    for pair in range(0, len(layers) * requests, 61):
        layer, request = divmod(pair, requests)
        correction = left[pair].double() @ right[pair].double()
        wanted = base[layer].double() + scale[layer, request].double() * correction
        if kind == I8:
            assert_codes(got.values[pair], got.steps[pair], wanted, 1 + rank)
        else:
            assert_close(got.values[pair], wanted, 1 + rank)
