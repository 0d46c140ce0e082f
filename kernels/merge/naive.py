"""Merge in plain torch, one layer of one request after another: the reference, and what runs without a GPU."""

from __future__ import annotations

import torch  # noqa: TID251 - operands are torch tensors
from torch import Tensor  # noqa: TID251

from modelgpt_edge.kernels.ragged import Ragged, Stored
from modelgpt_edge.kernels.store import store


def merge(base: Ragged, left: Ragged, right: Ragged, scale: Tensor, kind: torch.dtype) -> Stored:
    """W = base + scale * A B; summed in float64 where the base is, otherwise in float32."""
    out = Stored.empty(left.rows, right.columns, kind, base.data.device)
    exact = torch.promote_types(base.data.dtype, torch.float32)
    requests = scale.shape[1]
    for pair, (a, b) in enumerate(zip(left, right)):
        layer, request = divmod(pair, requests)
        store(base[layer].to(exact) + scale[layer, request] * (a.to(exact) @ b.to(exact)), out, pair)
    return out
