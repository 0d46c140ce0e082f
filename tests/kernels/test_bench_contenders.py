"""Every baseline gives the same weights or sums as the operation, so that only times differ."""

from __future__ import annotations

import numpy as np
import pytest
import torch  # noqa: TID251 - operands are torch tensors

from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.kernels.bench.cases import Case
from modelgpt_edge.kernels.bench.contenders import BASELINES, COMPILED, ROWS, TWO_STEPS, baselines, quantise
from modelgpt_edge.kernels.bench.measure import LEAST_DB
from modelgpt_edge.kernels.bench.numerics import decibels, power
from modelgpt_edge.kernels.bench.work import draw
from modelgpt_edge.kernels.launch import TYPES
from modelgpt_edge.kernels.shapes import Layer, Table

CPU = torch.device("cpu")
# Sizes that come twice and differ, multiples of 16 bytes as grouped_mm wants them.
LAYERS = (Layer(16, 32), Layer(24, 8), Layer(16, 32))


@pytest.fixture(autouse=True)
def _eagerly():
    """What is compiled is the same code: a compiler would take minutes here."""
    with torch.compiler.set_stance("force_eager"):
        yield


@pytest.mark.parametrize("kernel", ["emit", "merge"])
@pytest.mark.parametrize(("held", "stored"), TYPES)
@pytest.mark.parametrize("requests", [1, 3])
def test_weights(kernel, held, stored, requests):
    case = Case(kernel, "t", LAYERS, requests, held, stored, rank=8)
    work, named = draw(case, CPU), baselines(case)
    assert (TWO_STEPS in named) == (kernel == "emit" and stored == "i8")
    assert COMPILED in named
    assert ROWS not in named
    for name, prepare in named.items():
        _assert_near(work, prepare(work), LEAST_DB[stored], name)


@pytest.mark.parametrize("kernel", ["emit", "merge"])
@pytest.mark.parametrize("stored", ["fp32", "fp16", "i8"])
@pytest.mark.parametrize("requests", [1, 3])
def test_weights_of_a_shared_factor(kernel, stored, requests):
    case = Case(kernel, "t", LAYERS, requests, "fp32", stored, rank=8, shared=True)
    work, named = draw(case, CPU), baselines(case)
    assert (ROWS in named) == (kernel == "emit")
    for name, prepare in named.items():
        _assert_near(work, prepare(work), LEAST_DB[stored], name)


@pytest.mark.parametrize("kernel", ["emit", "merge"])
def test_each_writes_the_type_that_is_stored(kernel):
    """Otherwise a baseline would write more, or less, than ours."""
    case = Case(kernel, "t", LAYERS, 2, "fp32", "fp16", rank=8, shared=True)
    work = draw(case, CPU)
    for name, prepare in baselines(case).items():
        prepared = prepare(work)
        assert prepared.part(prepared.call(), 0).dtype == torch.float16, name


@pytest.mark.parametrize("requests", [1, 3])
def test_sums(requests):
    case = Case("gram", "t", Table(40, 5, 7, 3, 2), requests, "fp32", "fp64")
    work = draw(case, CPU)
    for name, prepare in baselines(case).items():
        _assert_near(work, prepare(work), LEAST_DB["fp64"], name)


def _assert_near(work, prepared, least, name):
    made, groups = prepared.call(), np.arange(work.count)
    for group, wanted in zip(groups.tolist(), work.exact(groups)):
        part = prepared.part(made, group)
        assert part.shape == wanted.shape, name
        found = decibels(*power(part, wanted))
        assert found is not None, name
        assert found >= least, name


def test_a_second_call_finds_its_operands_as_they_were():
    """Quantisation overwrites its input, which must not be an operand."""
    for kernel in ("emit", "merge"):
        case = Case(kernel, "t", LAYERS, 2, "fp16", "i8", rank=8)
        work = draw(case, CPU)
        for name, prepare in baselines(case).items():
            prepared = prepare(work)
            first, second = prepared.call(), prepared.call()
            for group in range(work.count):
                assert torch.equal(prepared.part(first, group), prepared.part(second, group)), name


def test_a_torch_without_grouped_mm_says_so(monkeypatch):
    monkeypatch.delattr(torch.nn.functional, "grouped_mm")
    work = draw(Case("emit", "t", LAYERS, 2, "fp16", "fp16", rank=8), CPU)
    with pytest.raises(TargetUnavailableError, match="has no grouped_mm"):
        BASELINES["emit"]["grouped_mm a shape"](work)


def test_quantisation_is_numpys():
    weight = torch.randn(2, 9, 4)
    codes, steps = quantise(weight.clone())
    values = weight.numpy()
    step = np.abs(values).max(1, keepdims=True) / 127
    assert np.allclose(steps.numpy(), step, rtol=1e-6)
    assert np.abs(codes.numpy() - values / step).max() <= 0.5 + 1e-4
