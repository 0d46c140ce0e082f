"""Choose the kernels' configurations on this GPU, before the first small request would choose them.

A configuration is chosen at the first launch with operands of some types and kept on disk, whatever the sizes were; so a
server, and whoever tests or measures, goes through large ones first, and through what a server launches before all others.
What is on disk already costs one launch each. `python -m modelgpt_edge.kernels.tune` does it on the current GPU.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
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
    """Launch every kernel with operands of every type: for adapters of texts, a text template, and a batch of tables."""
    tune_adapters(place)
    tune_weights(place)
    tune_sums(place)


def tune_adapters(place: torch.device) -> None:
    """Launch `emit` and `merge` as a server does for adapters of texts."""
    each = np.repeat(np.arange(len(shapes.LORA_FACTORS)), REQUESTS)
    rows = _normal([(1, shapes.LORA_BASIS)] * len(each), torch.float32, place)
    bases = _normal([(shapes.LORA_BASIS, layer.outputs) for layer in shapes.LORA_FACTORS], torch.float32, place)
    emit(rows, bases.take(each), torch.float32)

    layers, rank = shapes.LORA_PRODUCTS, shapes.LORA_RANK
    each = np.repeat(np.arange(len(layers)), REQUESTS)
    left = _normal([(layers[n].inputs, rank) for n in each], torch.float32, place)
    right = _normal([(rank, layer.outputs) for layer in layers], torch.float32, place)
    base = _normal([(layer.inputs, layer.outputs) for layer in layers], torch.float32, place)
    for stored in shapes.LORA_STORED:
        merge(base, left, right.take(each), torch.ones(len(layers), REQUESTS, device=place), DTYPES[stored])


def tune_weights(place: torch.device) -> None:
    """Launch `emit` and `merge`, at the sizes of a text template."""
    layers = shapes.MINILM_LAYER
    each = [layer for layer in layers for _ in range(REQUESTS)]
    for held, stored in ((DTYPES[h], DTYPES[s]) for h, s in TYPES):
        left = _normal([(layer.inputs, RANK) for layer in each], held, place)
        right = _normal([(RANK, layer.outputs) for layer in each], held, place)
        base = _normal([(layer.inputs, layer.outputs) for layer in layers], held, place)
        bias = _normal([(1, layer.outputs) for layer in each], torch.float32, place)
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


def _normal(sizes: Sequence[tuple[int, int]], kind: torch.dtype, place: torch.device) -> Ragged:
    return Ragged.of([torch.randn(*size, dtype=kind, device=place) for size in sizes])


if __name__ == "__main__":
    tune(torch.device("cuda"))
