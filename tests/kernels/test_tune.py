"""Tuning goes through every type that is compiled ahead of time, and nothing is left to be tuned afterwards."""

from __future__ import annotations

import pytest
import torch  # noqa: TID251 - operands are torch tensors

from modelgpt_edge.kernels import tune
from modelgpt_edge.kernels.ahead import OPERATIONS
from modelgpt_edge.kernels.shapes import Layer, Table


def test_it_goes_through_what_is_compiled(monkeypatch):
    monkeypatch.setattr("modelgpt_edge.kernels.shapes.MINILM_LAYER", (Layer(3, 5), Layer(5, 3)))
    monkeypatch.setattr("modelgpt_edge.kernels.shapes.TABLES", (Table(7, 2, 3, 1, 2),))
    seen = []
    for name in ("emit", "merge", "gram"):
        operation = getattr(tune, name)
        monkeypatch.setattr(tune, name, lambda *a, _name=name, _f=operation, **k: seen.append(_name) or _f(*a, **k))
    tune.tune(torch.device("cpu"))
    assert [seen.count(name) for name in ("emit", "merge", "gram")] == [10, 5, 1]


@pytest.mark.gpu
def test_every_kernel_has_its_configurations():
    tune.tune(torch.device("cuda"))
    for name, operation in OPERATIONS.items():
        assert len(operation.variants()[0].kernel.cache) >= {"emit": 10, "merge": 5, "gram": 1}[name]
