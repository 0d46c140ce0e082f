"""Weights into the type that they are stored in, in plain torch: what the kernels' writing is compared with."""

from __future__ import annotations

import torch  # noqa: TID251 - operands are torch tensors
from torch import Tensor  # noqa: TID251

from modelgpt_edge.kernels.ragged import Stored

# The smallest magnitude that a channel is scaled by, as compile/precision.py has it.
FLOOR = 1e-9


def store(weight: Tensor, out: Stored, group: int) -> None:
    """Write a weight (m, n) in place: as it is, or as symmetric int8 with a step for each column (see `Stored`)."""
    if out.steps is None:
        out.values[group].copy_(weight)
        return
    broken = ~weight.isfinite().all(0)
    largest = weight.abs().amax(0) if len(weight) else torch.zeros_like(weight[:0].sum(0))
    step = largest.clamp(min=FLOOR) / 127
    codes = torch.round(weight / step).clamp(-127, 127)
    out.values[group].copy_(torch.where(broken, torch.zeros_like(codes), codes))
    out.steps[group].copy_(torch.where(broken, torch.full_like(step, torch.nan), step))
