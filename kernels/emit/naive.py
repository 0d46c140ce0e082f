"""Emit in plain torch, one group after another: the reference, and what runs without a GPU."""

from __future__ import annotations

import torch  # noqa: TID251 - operands are torch tensors
from torch import Tensor  # noqa: TID251

from modelgpt_edge.kernels.ragged import Ragged, Stored
from modelgpt_edge.kernels.store import store


def emit(left: Ragged, right: Ragged, kind: torch.dtype, scale: Tensor | None, bias: Ragged | None) -> Stored:
    """W = scale * (C B) + bias; summed in float64 where the factors are, otherwise in float32."""
    out = Stored.empty(left.rows, right.columns, kind, left.data.device)
    exact = torch.promote_types(left.data.dtype, torch.float32)
    for g, (c, b) in enumerate(zip(left, right)):
        weight = c.to(exact) @ b.to(exact)
        if scale is not None:
            weight = weight * scale[g]
        store(weight if bias is None else weight + bias[g], out, g)
    return out
