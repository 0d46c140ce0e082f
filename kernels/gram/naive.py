"""Gram sums in plain torch, one table after another: the reference, and what runs without a GPU."""

from __future__ import annotations

import torch  # noqa: TID251 - operands are torch tensors
from torch import Tensor  # noqa: TID251

from modelgpt_edge.kernels.gram.batch import BatchSums, BatchUnits
from modelgpt_edge.kernels.ragged import Ragged


def gram(inputs: Ragged, targets: Ragged, units: BatchUnits) -> BatchSums:
    """Sums of every table; features in the type of the inputs, products in float64."""
    features = inputs.columns + units.tanh + units.leaf
    width = features + 1 + targets.columns
    matrix = Ragged.empty(width, width, torch.float64, inputs.data.device)
    for g, (x, y) in enumerate(zip(inputs, targets)):
        f = torch.cat([x, activate(x, units.weight[g], units.offset[g]), torch.ones_like(x[:, :1]), y], dim=1)
        matrix[g].copy_(f.double().T @ f.double())
    return BatchSums(matrix, inputs.rows, features)


def activate(x: Tensor, weight: Tensor, offset: Tensor) -> Tensor:
    """Units (N, T + H) of rows (N, D), as `Units.activate` has them on the host."""
    leaf = offset.shape[1]
    tanh, *steps = torch.split(x @ weight[:-1] + weight[-1], [weight.shape[1] - 3 * leaf, leaf, leaf, leaf], dim=1)
    total = sum(torch.sigmoid(z) for z in steps)
    return torch.cat([torch.tanh(tanh), torch.relu(total - offset)], dim=1)
