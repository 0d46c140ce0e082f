"""Choose the kernels' configurations on this GPU, before the first small request would choose them.

A configuration is chosen at the first launch with operands of some types and kept on disk, whatever the sizes were; so a
server, and whoever measures, goes through large ones first. What is on disk already costs one launch each.
"""

from __future__ import annotations

import torch  # noqa: TID251 - operands are torch tensors

from modelgpt_edge.kernels import shapes
from modelgpt_edge.kernels.emit import emit
from modelgpt_edge.kernels.gram import gram
from modelgpt_edge.kernels.gram.batch import BatchUnits
from modelgpt_edge.kernels.launch import DTYPES, TYPES
from modelgpt_edge.kernels.merge import merge
from modelgpt_edge.kernels.ragged import Ragged

REQUESTS, RANK = 16, 16


def tune(place: torch.device) -> None:
    """Launch every kernel with operands of every type, at the sizes of a text template and of a batch of tables."""
    tune_weights(place)
    tune_sums(place)


def tune_weights(place: torch.device) -> None:
    """Launch `emit` and `merge`, at the sizes of a text template."""
    for held, stored in ((DTYPES[h], DTYPES[s]) for h, s in TYPES):
        layers = shapes.MINILM_LAYER
        each = [layer for layer in layers for _ in range(REQUESTS)]
        left = Ragged.of([torch.randn(layer.inputs, RANK, dtype=held, device=place) for layer in each])
        right = Ragged.of([torch.randn(RANK, layer.outputs, dtype=held, device=place) for layer in each])
        base = Ragged.of([torch.randn(layer.inputs, layer.outputs, dtype=held, device=place) for layer in layers])
        bias = Ragged.of([torch.randn(1, layer.outputs, device=place) for layer in each])
        for shift in (None, bias):
            emit(left, right, stored, bias=shift)
        merge(base, left, right, torch.ones(len(layers), REQUESTS, device=place), stored)


def tune_sums(place: torch.device) -> None:
    """Launch `gram`, at the sizes of a batch of tables."""
    table = shapes.TABLES[-1]
    inputs = Ragged.batch(torch.randn(REQUESTS, table.rows, table.columns, device=place))
    targets = Ragged.batch(torch.randn(REQUESTS, table.rows, table.outputs, device=place))
    weight = Ragged.batch(torch.randn(REQUESTS, table.columns + 1, table.tanh + 3 * table.leaf, device=place))
    gram(inputs, targets, BatchUnits(weight, Ragged.batch(torch.ones(REQUESTS, 1, table.leaf, device=place))))
