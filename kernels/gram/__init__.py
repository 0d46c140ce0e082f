"""Gram: the sums that a ridge solve needs of its rows, without ever holding rows x features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelgpt_edge.kernels.checks import alike, same
from modelgpt_edge.kernels.gram.host import GramSums, add_rows

if TYPE_CHECKING:
    from modelgpt_edge.kernels.gram.batch import BatchSums, BatchUnits
    from modelgpt_edge.kernels.ragged import Ragged

__all__ = ["GramSums", "add_rows", "gram"]


def gram(inputs: Ragged, targets: Ragged, units: BatchUnits) -> BatchSums:
    """The sums of many tables at once, each with hidden units of its own: features F = [X, units(X)], F'F, F'Y and column sums.

    In Triton where the operands lie on a GPU, in plain torch elsewhere. Products are summed in float32 over 4,096 rows at a
    time and those sums in float64, always in the order of the rows, so a table alone and in a batch gives the same bits. A
    NaN or an infinity goes on to all sums that it belongs in.

    Args:
        inputs: X, (N, D) float32 each; targets: Y, (N, K) float32 each.
        units: over the columns of X.

    Raises:
        InputError: sizes, types or devices that don't fit together.
    """
    alike("rows, targets and units", inputs, targets, units.weight, units.offset)
    same("rows of the targets", targets.rows, inputs.rows)
    same("rows of the units' weights", units.weight.rows, inputs.columns + 1)
    same("rows of the leaf units' offsets", units.offset.rows, np.ones_like(inputs.rows))
    same("columns of the units' weights", units.weight.columns, abs(units.tanh) + 3 * units.leaf)
    if inputs.data.is_cuda:
        from modelgpt_edge.kernels.gram import triton as fast

        return fast.gram(inputs, targets, units)
    from modelgpt_edge.kernels.gram import naive

    return naive.gram(inputs, targets, units)
