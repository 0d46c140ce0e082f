"""How an encoder's matrix products are written in each precision, and how its word table is stored.

int8 here is per output channel for weights. Of activations the dynamic form finds the range of each text as it runs; the static
one (explicit QDQ, for TensorRT) has it from a calibration. Channels are smoothed first (Xiao et al. 2023, SmoothQuant): what a
channel of the activations is divided by, its row of the weights is multiplied by, so that both fit in 8 bits.
On processors fp16 is for storage alone; `HALF` computes in it throughout, as compilers for GPUs want it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import TensorProto

from modelgpt_edge.child import Floats
from modelgpt_edge.onnx_nodes import Graph

LEAST = 1e-9
HALF = "half"


@dataclass(frozen=True)
class Smoothing:
    """What a calibration told of one product's input.

    Attributes:
        divisor: (I,) of its channels; range: largest magnitude after the division.
    """

    divisor: Floats
    range: float


@dataclass(frozen=True)
class Products:
    """Writes products in a precision, of `targets.target.PRECISIONS` or `HALF`.

    Attributes:
        smoothings: of each product by name; needed by both int8 forms.
    """

    precision: str
    smoothings: Mapping[str, Smoothing] = field(default_factory=dict)

    def linear(self, graph: Graph, name: str, x: str, weight: Floats, bias: Floats) -> str:
        """``x weight + bias`` of x [..., I], weight (I, O) and bias (O,)."""
        if self.precision.startswith("int8"):
            product = self._integer(graph, name, x, weight)
        else:
            product = graph.add("MatMul", x, self._stored(graph, f"{name}_weight", weight))
        return graph.add("Add", product, self.constant(graph, f"{name}_bias", bias), name=name)

    def lookup(self, graph: Graph, name: str, table: Floats, ids: str) -> str:
        """Rows of a table (V, D) by ids [N, L]; in dynamic int8 each row has a scale of its own."""
        if self.precision != "int8-dynamic":
            narrow = table if self.precision == "fp32" else table.astype(np.float16)
            rows = graph.add("Gather", graph.constant(name, narrow), ids)
            return graph.add("Cast", rows, to=TensorProto.FLOAT) if self.precision in ("fp16", "int8") else rows
        scale = (np.maximum(np.abs(table).max(1, keepdims=True), LEAST) / 127).astype(np.float32)
        stored = graph.constant(name, np.rint(table / scale).astype(np.int8))
        rows = graph.add("Cast", graph.add("Gather", stored, ids), to=TensorProto.FLOAT)
        return graph.add("Mul", rows, graph.add("Gather", graph.constant(f"{name}_scale", scale), ids))

    def constant(self, graph: Graph, name: str, array: Any) -> str:
        """A constant of the type that states have."""
        return graph.constant(name, np.asarray(array, np.float16 if self.precision == HALF else np.float32))

    def enter(self, graph: Graph, x: str) -> str:
        """Float32 as the type that states have."""
        return graph.add("Cast", x, to=TensorProto.FLOAT16) if self.precision == HALF else x

    def leave(self, graph: Graph, x: str) -> str:
        """States as float32: sums over a whole text leave float16's range."""
        return graph.add("Cast", x, to=TensorProto.FLOAT) if self.precision == HALF else x

    def _stored(self, graph: Graph, name: str, array: Floats) -> str:
        if self.precision != "fp16":
            return self.constant(graph, name, array)
        return graph.add("Cast", graph.constant(name, array.astype(np.float16)), to=TensorProto.FLOAT)

    def _integer(self, graph: Graph, name: str, x: str, weight: Floats) -> str:
        smoothing = self.smoothings[name]
        x = graph.add("Mul", x, graph.constant(f"{name}_smoothing", 1 / smoothing.divisor))
        stored, channel = quantised(weight * smoothing.divisor[:, None])
        scales = graph.constant(f"{name}_weight_scale", channel)
        zeros = graph.constant(f"{name}_weight_zero", np.zeros(len(channel), np.int8))
        weights = graph.constant(f"{name}_weight", stored)
        if self.precision == "int8":
            scale = graph.constant(f"{name}_scale", np.float32(max(smoothing.range, LEAST) / 127))
            zero = graph.constant(f"{name}_zero", np.int8(0))
            x = graph.add("DequantizeLinear", graph.add("QuantizeLinear", x, scale, zero), scale, zero)
            return graph.add("MatMul", x, graph.add("DequantizeLinear", weights, scales, zeros, axis=1))
        values, scale, zero = graph.add_many("DynamicQuantizeLinear", x, outputs=3, name=f"{name}_quantised")
        product = graph.add("Cast", graph.add("MatMulInteger", values, weights, zero, zeros), to=TensorProto.FLOAT)
        return graph.add("Mul", product, graph.add("Mul", scale, scales))


def quantised(weight: Floats) -> tuple[np.ndarray, Floats]:
    """Weights (I, O) as symmetric int8 (I, O), and the scale of each output channel (O,)."""
    channel = (np.maximum(np.abs(weight).max(0), LEAST) / 127).astype(np.float32)
    return np.clip(np.rint(weight / channel), -127, 127).astype(np.int8), channel
