"""An ONNX graph taken apart into its structure, which is compiled, and its weights, which become inputs of the function.

Two models of the same shapes have the same structure to the byte, so its hash is the key of what was compiled. Imported only
while a model is compiled or refitted, as it needs onnx, which a device has not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Whole numbers of 64 bits are axes, shapes and cuts, and scalars are parts of formulas: both belong to the structure.
_WEIGHTS = (TensorProto.FLOAT, TensorProto.INT32)


@dataclass(frozen=True)
class Template:
    """A graph without weights, and the weights.

    Attributes:
        structure: the ONNX model whose weights are inputs, behind its own inputs; a batch of 1.
        inputs, outputs: names of its own inputs, and of its outputs.
        weights: the weights by name.
    """

    structure: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: Mapping[str, np.ndarray]

    @cached_property
    def key(self) -> str:
        """Hash of the structure."""
        return hashlib.sha256(self.structure).hexdigest()


def open_template(model: bytes) -> Template:
    """Take an ONNX model apart; symbolic sizes, such as that of a batch, become 1."""
    proto = onnx.load_model_from_string(model)
    graph = proto.graph
    weights = [t for t in graph.initializer if t.data_type in _WEIGHTS and t.dims]
    names = {t.name for t in weights}
    own = [value for value in graph.input if value.name not in names]
    structure = [t for t in graph.initializer if t.name not in names]
    inputs = [*own, *(helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in weights)]
    for value in (*inputs, *graph.output):
        for size in value.type.tensor_type.shape.dim:
            if not size.HasField("dim_value"):
                size.dim_value = 1
    bare = helper.make_graph(graph.node, "template", inputs, graph.output, structure)
    for node in bare.node:
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
    model_proto = helper.make_model(bare, opset_imports=proto.opset_import, ir_version=proto.ir_version)
    content = model_proto.SerializeToString(deterministic=True)
    arrays = {t.name: np.ascontiguousarray(numpy_helper.to_array(t)) for t in weights}
    return Template(content, tuple(v.name for v in own), tuple(v.name for v in graph.output), arrays)
