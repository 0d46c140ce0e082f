"""What the bench counts as traffic and arithmetic, held against the operands themselves and torch's own counter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch  # noqa: TID251 - operands are torch tensors
from torch.utils.flop_counter import FlopCounterMode  # noqa: TID251

from modelgpt_edge.kernels import shapes
from modelgpt_edge.kernels.bench.cases import KERNELS, Case, cases
from modelgpt_edge.kernels.bench.contenders import baselines
from modelgpt_edge.kernels.bench.work import Tables, draw
from modelgpt_edge.kernels.launch import TYPES
from modelgpt_edge.kernels.shapes import LORA_FACTORS, LORA_PRODUCTS, Layer, Table
from modelgpt_edge.parameters.units import DRAW

CPU = torch.device("cpu")
LAYERS = (Layer(5, 7), Layer(7, 2), Layer(5, 7))
TABLE = Table(11, 3, 5, 2, 2)


def test_every_row_is_unlike_the_others_and_of_a_real_template():
    names = [case.name for case in cases()]
    assert len(set(names)) == len(names)
    real = {shapes.MINILM, shapes.MINILM_LAYER, shapes.LORA_FACTORS, shapes.LORA_PRODUCTS}
    for case in cases():
        tables = (*shapes.TABLES, shapes.WIDE_TABLE, shapes.LONG_TABLE)
        assert case.shape in (tables if case.kernel == "gram" else real)
    assert tuple(dict.fromkeys(case.kernel for case in cases())) == KERNELS


def test_rows_that_a_server_launches_are_told_from_the_others():
    launched = [case for case in cases() if case.launched]
    assert {case.kernel for case in launched} == set(KERNELS)
    for case in launched:
        if isinstance(case.shape, Table):
            assert case.shape.tanh + case.shape.leaf == DRAW.total
        else:
            assert case.layers in (LORA_FACTORS, LORA_PRODUCTS)
    assert any(not case.launched for case in cases())


@pytest.mark.parametrize("kernel", ["emit", "merge"])
def test_every_type_rank_and_number_of_requests_is_there(kernel):
    mine = [case for case in cases() if case.kernel == kernel]
    assert {(case.held, case.stored) for case in mine} == set(TYPES)
    assert {case.rank for case in mine} == set(shapes.RANKS)
    assert {case.requests for case in mine} >= {*shapes.REQUESTS, *shapes.SWEEP}
    assert [case.types for case in mine if case.compiled] == ["fp16 to i8"]


@pytest.mark.parametrize("kernel", ["emit", "merge"])
@pytest.mark.parametrize(("held", "stored"), TYPES)
def test_bytes_are_those_of_operands_and_result(kernel, held, stored):
    case = Case(kernel, "t", LAYERS, 3, held, stored, rank=4)
    work = draw(case, CPU)
    made = work.ours()
    read = [*work.left, *work.right, *(work.base or [])]
    written = [*made.values, *(made.steps or [])]
    assert case.result_bytes == sum(m.nbytes for m in written)
    assert case.moved_bytes == sum(m.nbytes for m in (*read, *written))


@pytest.mark.parametrize("kernel", ["emit", "merge"])
def test_what_requests_share_is_read_once(kernel):
    case = Case(kernel, "t", LAYERS, 3, "fp32", "fp16", rank=4, shared=True)
    work = draw(case, CPU)
    assert len(work.right) == 9
    assert work.right.offset.tolist() == np.repeat(work.right.offset[::3], 3).tolist()
    read = [*work.left, *(work.right[g] for g in (0, 3, 6)), *(work.base or [])]
    assert case.moved_bytes == sum(m.nbytes for m in (*read, *work.ours().values))


def test_bytes_of_tables_and_sums():
    work = draw(case := Case("gram", "t", TABLE, 3, "fp32", "fp64"), CPU)
    written = [*work.ours().matrix]
    read = [*work.inputs, *work.targets, *work.units.weight, *work.units.offset]
    assert case.result_bytes == sum(m.nbytes for m in written)
    assert case.moved_bytes == sum(m.nbytes for m in (*read, *written))


@pytest.mark.parametrize("kernel", ["emit", "merge"])
def test_operations_are_those_that_torch_counts(kernel):
    case = Case(kernel, "t", LAYERS, 3, "fp32", "fp32", rank=4)
    weights = 3 * sum(layer.inputs * layer.outputs for layer in LAYERS)
    # Torch counts products alone; merge adds the base, and scales.
    assert case.flops == _counted(case, 0) + (2 * weights if kernel == "merge" else 0)


def test_a_symmetric_sum_is_counted_once():
    case = Case("gram", "t", TABLE, 3, "fp32", "fp64")
    width = TABLE.features + 1 + TABLE.outputs
    halved = 3 * TABLE.rows * (2 * width**2 - width * (width + 1))
    assert case.flops == _counted(case, 1) - halved


def _counted(case: Case, number: int) -> int:
    work = draw(case, CPU)
    prepared = list(baselines(case).values())[number](work)
    with FlopCounterMode(display=False) as counter:
        prepared.call()
    return counter.get_total_flops()


def test_each_case_draws_anew():
    """Otherwise what an earlier case left in memory could pass for a result."""
    case = Case("emit", "t", LAYERS, 3, "fp32", "fp32", rank=4)
    first, again, other = (draw(c, CPU).left.data for c in (case, case, replace(case, requests=2)))
    assert torch.equal(first, again)
    assert not torch.isin(other, first).any()
    tables = [draw(Case("gram", "t", TABLE, n, "fp32", "fp64"), CPU) for n in (1, 2)]
    assert all(isinstance(t, Tables) for t in tables)
    assert not torch.isin(tables[0].inputs.data, tables[1].inputs.data).any()
