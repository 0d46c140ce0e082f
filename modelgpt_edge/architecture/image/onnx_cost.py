"""What a network in ONNX costs: its weights' numbers, and the multiply-accumulates of one picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

import onnx
from onnx import TensorProto

KINDS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.INT8, TensorProto.UINT8)


def count_parameters(graph: onnx.GraphProto) -> int:
    """Numbers in the weights of a graph, those that hold shapes and positions left out."""
    constants = [a.t for node in graph.node if node.op_type == "Constant" for a in node.attribute if a.name == "value"]
    return sum(math.prod(tensor.dims) for tensor in (*graph.initializer, *constants) if tensor.data_type in KINDS)


def count_macs(model: onnx.ModelProto) -> int:
    """Multiply-accumulates of convolutions and matrix products, as far as shapes can be told before it runs."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    sizes = {tensor.name: tuple(tensor.dims) for tensor in inferred.initializer}
    for value in (*inferred.value_info, *inferred.input, *inferred.output):
        dims = value.type.tensor_type.shape.dim
        if all(dim.HasField("dim_value") for dim in dims):
            sizes[value.name] = tuple(dim.dim_value for dim in dims)
    return sum(_macs(node, [sizes.get(name) for name in node.input], sizes.get(node.output[0])) for node in inferred.node)


def _macs(node: onnx.NodeProto, inputs: Sequence[tuple[int, ...] | None], made: tuple[int, ...] | None) -> int:
    if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return 0
    one, other = inputs[:2]
    if not one or not other or made is None:
        return 0
    if node.op_type == "Conv":
        return math.prod(made) * math.prod(other[1:])
    if node.op_type == "ConvTranspose":
        return math.prod(one) * math.prod(other[1:])
    turned = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return math.prod(made) * (one[0] if turned else one[-1])
