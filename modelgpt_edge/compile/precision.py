"""How matrix products are written in each precision: fp32, fp16, or int8 as explicit QDQ.

The int8 form is the one that TensorRT and ONNX Runtime both take: symmetric int8 activations and weights, weights per output
channel, bias left in float32. The dense and head products are quantised, nearly all of the weights; all else stays float.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from onnx import TensorProto

from modelgpt_edge.child import CLIP, Floats
from modelgpt_edge.compile.nodes import Graph


@dataclass(frozen=True)
class Precision:
    """A precision and, for int8, the ranges.

    Attributes:
        name: ``fp32``, ``fp16`` or ``int8``.
        ranges: largest magnitude of the input of each matrix product, by its name (int8 only).
    """

    name: str
    ranges: Mapping[str, float] = field(default_factory=dict)

    @property
    def dtype(self) -> type:
        """Type that weights outside of quantised products are stored in."""
        return np.float16 if self.name == "fp16" else np.float32

    def enter(self, graph: Graph, x: str) -> str:
        """Cast the encoded columns to the precision's float type."""
        return graph.add("Cast", x, name="half", to=TensorProto.FLOAT16) if self.name == "fp16" else x

    def leave(self, graph: Graph, x: str) -> str:
        """Cast scores back to float32."""
        return graph.add("Cast", x, name="scores", to=TensorProto.FLOAT) if self.name == "fp16" else x

    def gemm(self, graph: Graph, name: str, x: str, weight: Floats, bias: Floats | str) -> str:
        """``x weight + bias``; the bias is an array (K,) or the name of a value [N, K]."""
        bias_name = bias if isinstance(bias, str) else graph.constant(f"{name}_bias", bias.astype(self.dtype))
        if self.name != "int8":
            return graph.add("Gemm", x, graph.constant(f"{name}_weight", weight.astype(self.dtype)), bias_name, name=name)
        scale = graph.constant(f"{name}_scale", np.float32(max(self.ranges[name], 1e-9) / 127))
        zero = graph.constant(f"{name}_zero", np.int8(0))
        quantised = graph.add("QuantizeLinear", x, scale, zero)
        x = graph.add("DequantizeLinear", quantised, scale, zero)
        channel = (np.maximum(np.abs(weight).max(0), 1e-9) / 127).astype(np.float32)
        stored = graph.constant(f"{name}_weight", np.clip(np.rint(weight / channel), -127, 127).astype(np.int8))
        zeros = graph.constant(f"{name}_weight_zero", np.zeros(len(channel), np.int8))
        w = graph.add("DequantizeLinear", stored, graph.constant(f"{name}_weight_scale", channel), zeros, axis=1)
        return graph.add("Gemm", x, w, bias_name, name=name)


FP32 = Precision("fp32")
FP16 = Precision("fp16")
# The template bounds every input: encoded columns are clipped at 5, and units end at 1. So nothing needs calibrating, and rows
# unlike those of the table don't saturate.
INT8 = Precision("int8", {"skip": float(CLIP), "dense": float(CLIP), "head": 1.0})
