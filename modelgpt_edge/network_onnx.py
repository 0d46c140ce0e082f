"""A sequential network as an ONNX graph, which keeps channels in front where `modelgpt_edge.network` keeps them last.

Needs the onnx package; nothing that a device runs imports this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from modelgpt_edge.child import Floats
from modelgpt_edge.network import (
    AveragePool,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    GlobalAveragePool,
    Layer,
    MaxPool,
    Network,
    ReLU,
    Shape,
)

OPSET, IR_VERSION = 17, 8


class _Nodes:
    """Nodes and weights as they come; each node's one output has a name of its own."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def constant(self, array: Floats) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name


def network_to_onnx(network: Network) -> onnx.ModelProto:
    """The graph for one input: ``x`` [1, features] or [1, channels, height, width] to ``y``."""
    nodes, value = _Nodes(), "x"
    for layer in network.layers:
        value = _add(nodes, layer, value)
        if getattr(layer, "relu", False):
            value = nodes.add("Relu", value)
    nodes.nodes[-1].output[0] = "y"
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, channels_first(shape))
        for name, shape in (("x", network.input_shape), ("y", network.shapes()[-1]))
    ]
    graph = helper.make_graph(nodes.nodes, "modelgpt_edge_network", ends[:1], ends[1:], nodes.weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def channels_first(shape: Shape) -> Sequence[int]:
    """Shape of one input or output as ONNX has it."""
    return (1, shape[2], shape[0], shape[1]) if len(shape) == 3 else (1, *shape)


def _add(nodes: _Nodes, layer: Layer, value: str) -> str:
    if isinstance(layer, Dense):
        return nodes.add("Gemm", value, nodes.constant(layer.weight.T), nodes.constant(layer.bias), transB=1)
    if isinstance(layer, (Conv2D, DepthwiseConv2D)):
        apart = isinstance(layer, DepthwiseConv2D)
        weight = layer.weight.transpose(2, 0, 1)[:, None] if apart else layer.weight.transpose(3, 2, 0, 1)
        place = {"pads": list(layer.padding), "strides": [layer.stride] * 2, "group": layer.weight.shape[2] if apart else 1}
        return nodes.add("Conv", value, nodes.constant(weight), nodes.constant(layer.bias), **place)
    if isinstance(layer, (MaxPool, AveragePool)):
        return nodes.add(type(layer).__name__, value, kernel_shape=[layer.size] * 2, strides=[layer.stride] * 2)
    if isinstance(layer, GlobalAveragePool):
        return nodes.add("Flatten", nodes.add("GlobalAveragePool", value))
    if isinstance(layer, Flatten):
        return nodes.add("Flatten", nodes.add("Transpose", value, perm=[0, 2, 3, 1]))
    return nodes.add("Relu", value) if isinstance(layer, ReLU) else nodes.add("Softmax", value, axis=1)
