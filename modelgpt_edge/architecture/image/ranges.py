"""Find how large a network's activations get, and their means: what int8's ranges and its corrected biases are made of."""

from __future__ import annotations

import os

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from modelgpt_edge.architecture.image.convolutions import PICTURE, Range, Ranges
from modelgpt_edge.targets.onnxruntime import open_session

AT_ONCE = 16
CLIPS = ("Clip", "Relu")
# What is asked of each activation [N, C, H, W], and over which of its axes.
ASKED = {"ReduceMin": [1, 2, 3], "ReduceMax": [1, 2, 3], "ReduceMean": [2, 3]}


def find_ranges(model: onnx.ModelProto, pictures: NDArray[np.uint8]) -> Ranges:
    """What every activation reaches on pictures (N, S, S, 3), N at least 1, the normalised picture among them.

    Args:
        model: in fp32, from ``pixels``, its convolutions by `Convolutions`; it is changed.
    """
    clipped = {node.input[0] for node in model.graph.node if node.op_type in CLIPS}
    made = [node.output[0] for node in model.graph.node if node.op_type in ("Conv", "Add", *CLIPS)]
    names = [PICTURE, *(name for name in made if name not in clipped)]
    asked = []
    for name in names:
        for op, axes in ASKED.items():
            asked.append(f"{name}:{op}")
            model.graph.node.append(helper.make_node(op, [name], [asked[-1]], axes=axes, keepdims=0))
            model.graph.output.append(helper.make_tensor_value_info(asked[-1], TensorProto.FLOAT, None))
    session = open_session(model.SerializeToString(), os.cpu_count() or 1)
    parts = [session.run(asked, {"pixels": pictures[i : i + AT_ONCE]}) for i in range(0, len(pictures), AT_ONCE)]
    every = [np.concatenate(part) for part in zip(*parts)]
    found = zip(names, *(every[place :: len(ASKED)] for place in range(len(ASKED))))
    return {name: Range(float(low.min()), float(high.max()), means.mean(0)) for name, low, high, means in found}
