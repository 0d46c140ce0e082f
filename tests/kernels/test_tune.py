"""Tuning goes through every type that is compiled ahead of time, and nothing is left to be tuned afterwards."""

from __future__ import annotations

import pytest
import torch  # noqa: TID251 - operands are torch tensors

from modelgpt_edge.kernels import tune
from modelgpt_edge.kernels.ahead import OPERATIONS
from modelgpt_edge.kernels.launch import TYPES
from modelgpt_edge.kernels.shapes import Layer, Table


def test_it_goes_through_what_is_compiled(monkeypatch):
    monkeypatch.setattr("modelgpt_edge.kernels.shapes.MINILM_LAYER", (Layer(3, 5), Layer(5, 3)))
    monkeypatch.setattr("modelgpt_edge.kernels.shapes.LORA_FACTORS", (Layer(1, 24),))
    monkeypatch.setattr("modelgpt_edge.kernels.shapes.LORA_PRODUCTS", (Layer(3, 9), Layer(3, 3)))
    monkeypatch.setattr("modelgpt_edge.kernels.shapes.TABLES", (Table(7, 2, 3, 1, 2),))
    seen = []
    for name in ("emit", "merge", "gram"):
        operation = getattr(tune, name)
        monkeypatch.setattr(tune, name, lambda *a, _name=name, _f=operation, **k: seen.append((_name, a)) or _f(*a, **k))
    tune.tune(torch.device("cpu"))
    names = [name for name, _ in seen]
    # For adapters first, for what is chosen once is kept.
    assert names[:4] == ["emit", "merge", "merge", "merge"]
    assert seen[0][1][0].rows.tolist() == [1] * tune.REQUESTS
    assert [names[4:].count(name) for name in ("emit", "merge", "gram")] == [2 * len(TYPES), len(TYPES), 1]


@pytest.mark.gpu
def test_every_kernel_has_its_configurations():
    tune.tune(torch.device("cuda"))
    for name, operation in OPERATIONS.items():
        assert len(operation.variants()[0].kernel.cache) >= {"emit": 2 * len(TYPES), "merge": len(TYPES), "gram": 1}[name]
