"""How a backbone's convolutions are written in each precision.

int8 is static: explicit QuantizeLinear and DequantizeLinear, weights per output channel and symmetric, activations per tensor
by ranges from a calibration. Both are stored unsigned: processors without VNNI saturate on unsigned by signed bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from onnx import TensorProto

from modelgpt_edge.child import Floats
from modelgpt_edge.onnx_nodes import Graph

# Least and largest value of each activation, by its name.
Ranges: TypeAlias = Mapping[str, tuple[float, float]]
Pads: TypeAlias = tuple[int, int, int, int]

PICTURE = "picture"
# What pixels are brought to [-1, 1] by, as the checkpoint was trained.
MEAN, DEVIATION = 127, 128
SIX = 6.0
LEAST = 1e-9
LEVELS, MIDDLE = 255, 128


@dataclass(frozen=True)
class Value:
    """An activation under construction: its name in the graph, and that of its range."""

    node: str
    range: str


@dataclass(frozen=True)
class Convolutions:
    """Writes convolutions in a precision: ``fp32``, ``fp16`` (weights alone) or ``int8``.

    Attributes:
        ranges: of every activation, needed by int8.
    """

    precision: str
    ranges: Ranges = field(default_factory=dict)

    def enter(self, graph: Graph, pixels: str) -> Value:
        """Pixels [N, S, S, 3] uint8 as normalised maps [N, 3, S, S]."""
        turned = graph.add("Transpose", pixels, perm=[0, 3, 1, 2])
        if self.precision == "int8":  # bytes are what is wanted already
            scale = graph.constant(f"{PICTURE}_scale", np.float32(1 / DEVIATION))
            zero = graph.constant(f"{PICTURE}_zero", np.uint8(MEAN))
            return Value(graph.add("DequantizeLinear", turned, scale, zero, name=PICTURE), PICTURE)
        values = graph.add("Cast", turned, to=TensorProto.FLOAT)
        centred = graph.add("Sub", values, graph.constant("pixel_mean", np.float32(MEAN)))
        return Value(graph.add("Mul", centred, graph.constant("pixel_scale", np.float32(1 / DEVIATION)), name=PICTURE), PICTURE)

    def convolve(
        self, graph: Graph, name: str, x: Value, weight: Floats, bias: Floats, stride: int, pads: Pads, relu6: bool
    ) -> Value:
        """A convolution with weight (outputs, inputs of a group, k, k), of each channel by itself where those are one.

        Args:
            relu6: whether the result is clipped to [0, 6].
        """
        groups = weight.shape[0] if weight.shape[1] == 1 else 1
        place: dict[str, Any] = {
            "strides": [stride] * 2,
            "pads": list(pads),
            "group": groups,
            "kernel_shape": list(weight.shape[2:]),
        }
        w, b = self._stored(graph, name, x, weight, bias)
        made = graph.add("Conv", x.node, w, b, name=f"{name}_linear" if relu6 else name, **place)
        if relu6 and self.precision != "int8":  # in int8 the range does the clipping
            made = graph.add(
                "Clip", made, graph.constant("nil", np.float32(0)), graph.constant("six", np.float32(SIX)), name=name
            )
        return self._rounded(graph, Value(made, name))

    def add(self, graph: Graph, name: str, one: Value, other: Value) -> Value:
        """The sum of two activations."""
        return self._rounded(graph, Value(graph.add("Add", one.node, other.node, name=name), name))

    def _step(self, name: str) -> tuple[np.float32, np.uint8]:
        """Step and zero point of an activation."""
        if name == PICTURE:
            return np.float32(1 / DEVIATION), np.uint8(MEAN)
        low, high = self.ranges[name]
        step = np.float32(max(max(high, 0) - min(low, 0), LEAST) / LEVELS)
        return step, np.uint8(np.rint(-min(low, 0) / step))

    def _rounded(self, graph: Graph, value: Value) -> Value:
        if self.precision != "int8":
            return value
        step, middle = self._step(value.range)
        scale, zero = graph.constant(f"{value.range}_scale", step), graph.constant(f"{value.range}_zero", middle)
        bytes_of = graph.add("QuantizeLinear", value.node, scale, zero)
        return Value(graph.add("DequantizeLinear", bytes_of, scale, zero), value.range)

    def _stored(self, graph: Graph, name: str, x: Value, weight: Floats, bias: Floats) -> tuple[str, str]:
        """Weight and bias as the convolution takes them."""
        if self.precision == "fp16":
            narrow = graph.constant(f"{name}_weight", weight.astype(np.float16))
            return graph.add("Cast", narrow, to=TensorProto.FLOAT), graph.constant(f"{name}_bias", bias)
        if self.precision != "int8":
            return graph.constant(f"{name}_weight", weight), graph.constant(f"{name}_bias", bias)
        step, _ = self._step(x.range)
        channel = np.maximum(np.abs(weight).max((1, 2, 3)), LEAST) / (LEVELS // 2)
        # A bias is stored in 32 bits and in steps of both: a channel of tiny weights must leave it room.
        channel = np.maximum(channel, np.abs(bias) / step / 2**30).astype(np.float32)
        whole = np.rint(weight / channel[:, None, None, None])
        stored = (np.clip(whole, -(LEVELS // 2), LEVELS // 2) + MIDDLE).astype(np.uint8)
        both = (channel * step).astype(np.float32)
        return (
            self._read(graph, f"{name}_weight", stored, channel, np.full(len(channel), MIDDLE, np.uint8)),
            self._read(graph, f"{name}_bias", np.rint(bias / both).astype(np.int32), both, np.zeros(len(both), np.int32)),
        )

    @staticmethod
    def _read(graph: Graph, name: str, stored: np.ndarray, scales: Floats, zeros: np.ndarray) -> str:
        scale, zero = graph.constant(f"{name}_scale", scales), graph.constant(f"{name}_zero", zeros)
        return graph.add("DequantizeLinear", graph.constant(name, stored), scale, zero, axis=0)
