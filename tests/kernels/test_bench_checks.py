"""The checks before any time: green for what the kernels give, red for what they must not."""

from __future__ import annotations

import numpy as np
import pytest
import torch  # noqa: TID251 - operands are torch tensors

from modelgpt_edge.errors import GateError
from modelgpt_edge.kernels.bench import checks, run
from modelgpt_edge.kernels.bench.cases import KERNELS, Case
from modelgpt_edge.kernels.bench.numerics import code_fault, decibels, float_fault
from modelgpt_edge.kernels.bench.work import Factors, Tables, draw, sample
from modelgpt_edge.kernels.launch import TYPES
from modelgpt_edge.kernels.shapes import Layer


@pytest.mark.parametrize("case", checks.small_cases(KERNELS), ids=lambda case: case.name)
def test_the_kernels_are_green(case, place):
    found = checks.check(case, place)
    assert found.fault == ""
    assert found.sqnr_db > {"i8": 40, "bf16": 45, "fp16": 70}.get(case.stored, 120)


def test_every_kernel_is_checked_in_every_type():
    found = {(c.kernel, c.held, c.stored) for c in checks.small_cases(KERNELS)}
    assert found == {(k, *types) for k in ("emit", "merge") for types in TYPES} | {("gram", "fp32", "fp64")}


@pytest.mark.parametrize("case", checks.small_cases(KERNELS), ids=lambda case: case.name)
def test_one_wrong_number_is_red(case, place, monkeypatch):
    kind = Tables if case.kernel == "gram" else Factors
    launched = kind.launched

    def spoilt(work):
        made = launched(work)
        values = (made.matrix if case.kernel == "gram" else made.values)[work.count - 1]
        values[0, 0] = 127 if values[0, 0] <= 0 else -127
        return made

    monkeypatch.setattr(kind, "launched", spoilt)
    found = checks.check(case, place)
    last = draw(case, place).count - 1
    assert found.fault.startswith(f"group {last}: ")
    with pytest.raises(GateError, match=rf"1 of 2 checks are red: group {last}") as raised:
        run.require_green([checks.Check("a", "emit", 1, 60.0, ""), found])
    assert raised.value.exit_code == 3


def test_a_nan_is_red():
    wanted = torch.ones(2, 3, dtype=torch.float64)
    assert float_fault(torch.full((2, 3), torch.nan), wanted, 4, torch.float32)
    assert code_fault(torch.zeros(2, 3, dtype=torch.int8), torch.full((1, 3), torch.nan), wanted, 4)
    assert code_fault(torch.full((2, 3), -128, dtype=torch.int8), torch.full((1, 3), 1 / 127), -wanted, 4)
    assert code_fault(torch.full((2, 3), 127, dtype=torch.int8), torch.full((1, 3), 1 / 127), wanted, 4) == ""


def test_first_and_last_groups_are_among_those_checked(place):
    work = draw(Case("emit", "t", (Layer(2, 3),), 1000, "fp32", "fp32", 1), place)
    groups = sample(work)
    assert (groups[0], groups[-1]) == (0, 999)
    assert len(np.unique(groups)) == len(groups) == 48


def test_decibels():
    assert decibels(100.0, 1.0) == pytest.approx(20)
    assert decibels(1.0, 0.0) == pytest.approx(400)
    assert decibels(1.0, float("nan")) is None
    assert decibels(0.0, 0.0) is None
