"""How a backbone's convolutions are written in each precision.

int8 is static: explicit QuantizeLinear and DequantizeLinear, weights per output channel and symmetric, activations per tensor
by ranges from a calibration. For processors both are stored unsigned: those without VNNI saturate on unsigned by signed bytes.
Compilers for GPUs want both signed and symmetric, biases in float, and fp16 in every operator instead of in storage alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from onnx import TensorProto

from modelgpt_edge.child import Floats
from modelgpt_edge.onnx_nodes import Graph


class Range(NamedTuple):
    """What a calibration saw of an activation: its least and largest value, and the mean of each channel (C,)."""

    least: float
    most: float
    means: Floats


# By the activations' names.
Ranges: TypeAlias = Mapping[str, Range]
Pads: TypeAlias = tuple[int, int, int, int]

PICTURE = "picture"
# What is taken off pixels, and what they are divided by then, as EfficientNet-Lite was trained: to about [-1, 1].
MEAN, DEVIATION = 127, 128
LEAST = 1e-9
LEVELS, MIDDLE = 255, 128
# Precisions that compilers for GPUs take, beside fp32.
HALF, SIGNED = "half", "int8-signed"
# Where an activation is rounded: in both forms of int8; in that for processors, whose integer operators begin and end in
# bytes; nowhere, so that a convolution that takes it computes in float.
ALWAYS, ON_PROCESSORS, NEVER = ("int8", SIGNED), ("int8",), ()


@dataclass(frozen=True)
class Value:
    """An activation under construction: its name in the graph, that of its range, and whether int8 has rounded it."""

    node: str
    range: str
    rounded: bool = False


@dataclass(frozen=True)
class Convolutions:
    """Writes convolutions in a precision: ``fp32``; ``fp16`` (weights alone) or ``int8`` for processors; `HALF` or `SIGNED`.

    Attributes:
        ranges: of every activation, needed by both forms of int8.
        mean, deviation: what is taken off pixels, a whole number, and what they are divided by then.
        picture: what the normalised picture is called, in the graph and among the ranges.
    """

    precision: str
    ranges: Ranges = field(default_factory=dict)
    mean: int = MEAN
    deviation: int = DEVIATION
    picture: str = PICTURE

    def enter(self, graph: Graph, pixels: str) -> Value:
        """Pixels [N, S, S, 3] uint8 as normalised maps [N, 3, S, S]."""
        order = [0, 3, 1, 2]
        if self.precision == "int8":  # bytes are what is wanted already
            turned = graph.add("Transpose", pixels, perm=order)
            scale = graph.scalar(f"{self.picture}_scale", np.float32(1 / self.deviation))
            zero = graph.scalar(f"{self.picture}_zero", np.uint8(self.mean))
            entered = graph.add("DequantizeLinear", turned, scale, zero, name=self.picture)
            return Value(entered, self.picture, rounded=True)
        # The cast goes first: TensorRT takes bytes into nothing else.
        values = graph.add("Cast", pixels, to=TensorProto.FLOAT16 if self.precision == HALF else TensorProto.FLOAT)
        turned = graph.add("Transpose", values, perm=order)
        centred = graph.add("Sub", turned, graph.constant("pixel_mean", self._number(self.mean)))
        scaled = graph.add("Mul", centred, graph.constant("pixel_scale", self._number(1 / self.deviation)), name=self.picture)
        return self._rounded(graph, Value(scaled, self.picture))

    def leave(self, graph: Graph, x: Value) -> str:
        """Maps in float32, for what comes after the convolutions."""
        return graph.add("Cast", x.node, to=TensorProto.FLOAT) if self.precision == HALF else x.node

    def convolve(
        self,
        graph: Graph,
        name: str,
        x: Value,
        weight: Floats,
        bias: Floats,
        stride: int,
        pads: Pads,
        most: float | None,
        rounded: Sequence[str] = ALWAYS,
    ) -> Value:
        """A convolution with weight (outputs, inputs of a group, k, k), of each channel by itself where those are one.

        Args:
            most: what the result is clipped to from 0 on, infinite for ReLU; None where it isn't clipped.
            rounded: where the result is: `ALWAYS`, `ON_PROCESSORS` or `NEVER`.
        """
        groups = weight.shape[0] if weight.shape[1] == 1 else 1
        place: dict[str, Any] = {
            "strides": [stride] * 2,
            "pads": list(pads),
            "group": groups,
            "kernel_shape": list(weight.shape[2:]),
        }
        w, b = self._stored(graph, name, x, weight, bias)
        made = graph.add("Conv", x.node, w, b, name=name if most is None else f"{name}_linear", **place)
        bytes_follow = self.precision in rounded
        if most is not None and not (bytes_follow and self.precision == "int8"):  # there the range does the clipping
            made = self._clipped(graph, name, made, np.inf if bytes_follow else most)  # signed bytes end where it ends
        return self._rounded(graph, Value(made, name)) if bytes_follow else Value(made, name)

    def add(self, graph: Graph, name: str, one: Value, other: Value) -> Value:
        """The sum of two activations."""
        return self._rounded(graph, Value(graph.add("Add", one.node, other.node, name=name), name))

    def _number(self, value: float) -> np.floating[Any]:
        """A constant of the type that activations have."""
        return np.float16(value) if self.precision == HALF else np.float32(value)

    def _clipped(self, graph: Graph, name: str, value: str, most: float) -> str:
        if np.isinf(most):
            return graph.add("Relu", value, name=name)
        ends = graph.constant("least", self._number(0)), graph.constant("most", self._number(most))
        return graph.add("Clip", value, *ends, name=name)

    def _step(self, name: str) -> tuple[np.float32, np.integer[Any]]:
        """Step and zero point of an activation."""
        signed = self.precision == SIGNED
        if name == self.picture:
            return np.float32(1 / self.deviation), np.int8(0) if signed else np.uint8(self.mean)
        low, high, _ = self.ranges[name]
        if signed:
            return np.float32(max(-low, high, LEAST) / (LEVELS // 2)), np.int8(0)
        step = np.float32(max(max(high, 0) - min(low, 0), LEAST) / LEVELS)
        return step, np.uint8(np.rint(-min(low, 0) / step))

    def _rounded(self, graph: Graph, value: Value) -> Value:
        if not self.precision.startswith("int8"):
            return value
        step, middle = self._step(value.range)
        scale, zero = graph.scalar(f"{value.range}_scale", step), graph.scalar(f"{value.range}_zero", middle)
        bytes_of = graph.add("QuantizeLinear", value.node, scale, zero)
        return Value(graph.add("DequantizeLinear", bytes_of, scale, zero), value.range, rounded=True)

    def _stored(self, graph: Graph, name: str, x: Value, weight: Floats, bias: Floats) -> tuple[str, str]:
        """Weight and bias as the convolution takes them."""
        if self.precision == "fp16":
            narrow = graph.constant(f"{name}_weight", weight.astype(np.float16))
            return graph.add("Cast", narrow, to=TensorProto.FLOAT), graph.constant(f"{name}_bias", bias)
        if not x.rounded:
            kind = type(self._number(0))
            return graph.constant(f"{name}_weight", weight.astype(kind)), graph.constant(f"{name}_bias", bias.astype(kind))
        step, _ = self._step(x.range)
        channel = np.maximum(np.abs(weight).max((1, 2, 3)), LEAST) / (LEVELS // 2)
        if self.precision != SIGNED:  # its bias is stored in 32 bits and in steps of both: tiny weights must leave it room
            channel = np.maximum(channel, np.abs(bias) / step / 2**30)
        channel = channel.astype(np.float32)
        whole = np.clip(np.rint(weight / channel[:, None, None, None]), -(LEVELS // 2), LEVELS // 2)
        bias = corrected(bias, whole * channel[:, None, None, None] - weight, self.ranges[x.range].means)
        if self.precision == SIGNED:
            signed = self._read(graph, f"{name}_weight", whole.astype(np.int8), channel, np.zeros(len(channel), np.int8))
            return signed, graph.constant(f"{name}_bias", bias)
        stored, both = (whole + MIDDLE).astype(np.uint8), (channel * step).astype(np.float32)
        return (
            self._read(graph, f"{name}_weight", stored, channel, np.full(len(channel), MIDDLE, np.uint8)),
            self._read(graph, f"{name}_bias", np.rint(bias / both).astype(np.int32), both, np.zeros(len(both), np.int32)),
        )

    @staticmethod
    def _read(graph: Graph, name: str, stored: np.ndarray, scales: Floats, zeros: np.ndarray) -> str:
        scale, zero = graph.constant(f"{name}_scale", scales), graph.constant(f"{name}_zero", zeros)
        return graph.add("DequantizeLinear", graph.constant(name, stored), scale, zero, axis=0)


def corrected(bias: Floats, error: Floats, means: Floats) -> Floats:
    """A bias (O,) less what rounded weights, off by `error` (O, I or 1, k, k), add on average to inputs of `means` (I,).

    Bias correction of Nagel et al. 2019 (Data-Free Quantization, section 4.2), with means that a calibration saw.
    """
    summed = error.sum((2, 3))
    return (bias - (summed[:, 0] * means if summed.shape[1] == 1 else summed @ means)).astype(np.float32)
