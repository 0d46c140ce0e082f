"""How matrix products are written in each precision: fp32, fp16, int8 as explicit QDQ, or int8 with ranges found as it runs.

The static int8 form is the one that TensorRT and ONNX Runtime both take: symmetric int8 activations and weights, weights per
output channel, bias left in float32. The dense and head products are quantised, nearly all of the weights; all else stays
float, the linear skip too: it is small, and where the model is close to linear its rounding would show in the labels. The
dynamic form finds the range of the rows at hand as it runs, which only ONNX Runtime does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from onnx import TensorProto

from modelgpt_edge.child import Floats
from modelgpt_edge.onnx_nodes import Graph


@dataclass(frozen=True)
class Precision:
    """A precision and, for static int8, the ranges.

    Attributes:
        name: of `targets.target.PRECISIONS`.
        ranges: largest magnitude of the input of each quantised matrix product, by its name (static int8 only).
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
        if self.name == "int8" and name in self.ranges:
            return self._static(graph, name, x, weight, bias_name)
        if self.name == "int8-dynamic" and name != "skip":
            return self._dynamic(graph, name, x, weight, bias_name)
        return graph.add("Gemm", x, graph.constant(f"{name}_weight", weight.astype(self.dtype)), bias_name, name=name)

    def _static(self, graph: Graph, name: str, x: str, weight: Floats, bias: str) -> str:
        """Quantise and dequantise around the product; the runtime or TensorRT fuses them into an integer one."""
        scale = graph.constant(f"{name}_scale", np.float32(max(self.ranges[name], 1e-9) / 127))
        zero = graph.constant(f"{name}_zero", np.int8(0))
        x = graph.add("DequantizeLinear", graph.add("QuantizeLinear", x, scale, zero), scale, zero)
        stored, channel = quantised(weight)
        zeros = graph.constant(f"{name}_weight_zero", np.zeros(len(channel), np.int8))
        weights = graph.constant(f"{name}_weight", stored), graph.constant(f"{name}_weight_scale", channel)
        return graph.add("Gemm", x, graph.add("DequantizeLinear", *weights, zeros, axis=1), bias, name=name)

    def _dynamic(self, graph: Graph, name: str, x: str, weight: Floats, bias: str) -> str:
        """Integer product of each batch's own range, scaled back to float.

        Weights are stored unsigned, 128 for zero: signed ones saturate in ONNX Runtime's 16-bit sums on x86 without VNNI.
        """
        stored, channel = quantised(weight)
        values, scale, zero = graph.add_many("DynamicQuantizeLinear", x, outputs=3, name=f"{name}_quantised")
        unsigned = graph.constant(f"{name}_weight", (stored.astype(np.int16) + 128).astype(np.uint8))
        product = graph.add("MatMulInteger", values, unsigned, zero, graph.constant(f"{name}_weight_zero", np.uint8(128)))
        scales = graph.add("Mul", scale, graph.constant(f"{name}_weight_scale", channel))
        scaled = graph.add("Mul", graph.add("Cast", product, to=TensorProto.FLOAT), scales)
        return graph.add("Add", scaled, bias, name=name)


def quantised(weight: Floats) -> tuple[np.ndarray, Floats]:
    """Weights (I, K) as symmetric int8 (I, K), and the scale of each output channel (K,)."""
    channel = (np.maximum(np.abs(weight).max(0), 1e-9) / 127).astype(np.float32)
    return np.clip(np.rint(weight / channel), -127, 127).astype(np.int8), channel


FP32 = Precision("fp32")
