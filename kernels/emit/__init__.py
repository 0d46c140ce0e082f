"""Emit: weights as products of small factors, for many requests and layers in one launch, in the type they are stored in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelgpt_edge.kernels.checks import alike, same, shaped
from modelgpt_edge.kernels.ragged import Ragged, Stored

if TYPE_CHECKING:
    from torch import Tensor, dtype  # noqa: TID251 - types alone

__all__ = ["emit"]


def emit(left: Ragged, right: Ragged, kind: dtype, *, scale: Tensor | None = None, bias: Ragged | None = None) -> Stored:
    """W = scale * (C B) + bias for every group, a group being one layer of one request.

    In Triton where the operands lie on a GPU, in plain torch elsewhere. Sums are in float32; a NaN or an infinity goes on to
    what it touches, and numbers beyond a float16 become infinite there.

    Args:
        left: C, (m, r) each; right: B, (r, n) each, of the same float type. Groups that share a basis `take` it.
        kind: float32, bfloat16, float16, or int8 with a step for each column (see `Stored`).
        scale: (G,) float32, one number a group; one where not given.
        bias: (1, n) float32 each, added to every row.

    Returns:
        W, (m, n) each, in the order of the groups.

    Raises:
        InputError: sizes, types or devices that don't fit together.
    """
    alike("the factors", left, right)
    same("rows of the right factor", right.rows, left.columns)
    if scale is not None:
        shaped("the scale", scale, len(left))
    if bias is not None:
        same("rows of the bias", bias.rows, np.ones_like(right.rows))
        same("columns of the bias", bias.columns, right.columns)
    if left.data.is_cuda:
        from modelgpt_edge.kernels.emit import triton as fast

        return fast.emit(left, right, kind, scale, bias)
    from modelgpt_edge.kernels.emit import naive

    return naive.emit(left, right, kind, scale, bias)
