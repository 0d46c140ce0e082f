"""Merge: low-rank corrections of many requests into the layers of one template, in the type they are stored in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelgpt_edge.kernels.checks import alike, same, shaped
from modelgpt_edge.kernels.ragged import Ragged, Stored

if TYPE_CHECKING:
    from torch import Tensor, dtype  # noqa: TID251 - types alone

__all__ = ["merge"]


def merge(base: Ragged, left: Ragged, right: Ragged, scale: Tensor, kind: dtype) -> Stored:
    """W[l, q] = base[l] + scale[l, q] * A[l, q] B[l, q] for L layers and Q requests (LoRA, fused into its template).

    In Triton where the operands lie on a GPU, in plain torch elsewhere. Sums are in float32; a NaN or an infinity goes on to
    what it touches, and numbers beyond a float16 become infinite there.

    Args:
        base: (m, n) a layer, of any float type.
        left: A, (m, r); right: B, (r, n); L Q each, all requests of the first layer first, of the base's type. The rank may
            differ; a request that leaves a layer as it is has rank nought there.
        scale: (L, Q) float32.
        kind: float32, bfloat16, float16, or int8 with a step for each column (see `Stored`).

    Returns:
        W, L Q matrices (m, n), in the order of the factors.

    Raises:
        InputError: sizes, types or devices that don't fit together.
    """
    alike("base and factors", base, left, right)
    shaped("the scale", scale, len(base), len(left) // max(1, len(base)))
    layer = np.repeat(np.arange(len(base)), scale.shape[1])
    same("rows of the left factor", left.rows, base.rows[layer])
    same("columns of the right factor", right.columns, base.columns[layer])
    same("rows of the right factor", right.rows, left.columns)
    if base.data.is_cuda:
        from modelgpt_edge.kernels.merge import triton as fast

        return fast.merge(base, left, right, scale, kind)
    from modelgpt_edge.kernels.merge import naive

    return naive.merge(base, left, right, scale, kind)
