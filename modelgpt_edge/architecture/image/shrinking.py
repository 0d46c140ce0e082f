"""A picture made smaller by a whole number, each place the mean of those that it covers: in numpy, and the same in a graph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from modelgpt_edge.onnx_nodes import Graph


def shrunk(pictures: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Pictures (N, S, S, 3) as (N, side, side, 3), halves rounded to even; S is a multiple of `side`."""
    each = pictures.shape[1] // side
    rows = pictures.reshape(len(pictures), side, each, side * each * 3).sum(2, dtype=np.uint32)
    sums = rows.reshape(len(pictures), side, side, each, 3).sum(3, dtype=np.uint32)
    return np.rint(sums / np.float32(each**2)).astype(np.uint8)


def add_shrunk(graph: Graph, pixels: str, size: int, side: int, whole: bool) -> str:
    """The same of ``pixels`` [N, size, size, 3] uint8; the name of [N, side, side, 3] is returned.

    Args:
        whole: whether bytes come out; floats of the same values otherwise, for compilers of GPUs take bytes at the input alone.
    """
    each = size // side
    turned = graph.add("Transpose", graph.add("Cast", pixels, to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
    means = graph.add("AveragePool", turned, kernel_shape=[each] * 2, strides=[each] * 2)
    rounded = graph.add("Round", graph.add("Transpose", means, perm=[0, 2, 3, 1]))
    return graph.add("Cast", rounded, to=TensorProto.UINT8) if whole else rounded
