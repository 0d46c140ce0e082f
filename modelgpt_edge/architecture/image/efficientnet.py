"""EfficientNet-Lite written as ONNX: pixels to the channels of its last layer and of some stages before it.

Batch normalisation is folded into the convolutions; padding is TensorFlow's, with which the weights were trained: as much
as the stride needs, the odd pixel at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from modelgpt_edge.architecture.image.convolutions import ALWAYS, NEVER, ON_PROCESSORS, Convolutions, Pads, Value
from modelgpt_edge.architecture.image.shape import Shape
from modelgpt_edge.child import Floats
from modelgpt_edge.onnx_nodes import Graph

EPSILON = 1e-3  # of the batch normalisation
SIX = 6.0  # where its ReLU6 ends
# Stages whose channels are told beside the last layer's, the last ones.
STAGES = 3


def add_efficientnet(
    graph: Graph,
    pixels: str,
    size: int,
    shape: Shape,
    folded: Callable[[str, str], tuple[Floats, Floats]],
    convolutions: Convolutions,
    stages: bool,
) -> tuple[str, ...]:
    """Add the network to a graph.

    Args:
        pixels: [N, S, S, 3] uint8; size: S.
        folded: weight and bias of a convolution with its normalisation in them, by the names of both, see `fold`.
        stages: whether the last stages are told too.

    Returns:
        Names of [N, D] means over space of the last layer; and of each told stage [N, 2 C], means and deviations.
    """
    x = convolutions.enter(graph, pixels)
    side, told = size, []

    def convolve(
        name: str,
        x: Value,
        conv: str,
        norm: str,
        stride: int = 1,
        most: float | None = SIX,
        rounded: Sequence[str] = ALWAYS,
    ) -> Value:
        weight, bias = folded(conv, norm)
        pads = _pads(side, weight.shape[-1], stride)
        return convolutions.convolve(graph, name, x, weight, bias, stride, pads, most, rounded)

    # The first layer's channels differ most in size: one step for all of them can cost as much as all other rounding.
    x = convolve("stem", x, "_conv_stem", "_bn0", 2, rounded=NEVER)
    side = math.ceil(side / 2)
    for place, block in enumerate(shape.blocks):
        own, name, entered = f"_blocks.{place}", f"block{place}", x
        if block.expands:
            x = convolve(f"{name}_expand", x, f"{own}._expand_conv", f"{own}._bn0")
        x = convolve(f"{name}_depth", x, f"{own}._depthwise_conv", f"{own}._bn1", block.stride)
        side = math.ceil(side / block.stride)
        summed = ON_PROCESSORS if block.residual else ALWAYS
        x = convolve(f"{name}_project", x, f"{own}._project_conv", f"{own}._bn2", most=None, rounded=summed)
        if block.residual:
            x = convolutions.add(graph, f"{name}_sum", x, entered)
        ends = place + 1 == len(shape.blocks) or shape.blocks[place + 1].stage != block.stage
        if stages and ends and block.stage >= shape.blocks[-1].stage + 1 - STAGES:
            told.append(_spread(graph, convolutions.leave(graph, x)))
    x = convolve("head", x, "_conv_head", "_bn1", rounded=ON_PROCESSORS)
    last = graph.add("GlobalAveragePool", convolutions.leave(graph, x))
    return (graph.add("Flatten", last, name="channels"), *told)


def widths(shape: Shape) -> tuple[int, ...]:
    """How many numbers `add_efficientnet` tells of a picture: of the last layer, and of each told stage."""
    return (shape.head, *(2 * channels for channels in shape.ends[-STAGES:]))


def fold(weights: Mapping[str, Floats], conv: str, norm: str) -> tuple[Floats, Floats]:
    """Weight and bias of a convolution with its batch normalisation in them; weights by the names of `Shape.arrays`."""
    scale, shift, mean, variance = (
        weights[f"{norm}.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
    )
    factor = scale / np.sqrt(variance + EPSILON)
    weight = weights[f"{conv}.weight"] * factor[:, None, None, None]
    return weight.astype(np.float32), (shift - mean * factor).astype(np.float32)


def _pads(side: int, kernel: int, stride: int) -> Pads:
    """Zeros at top, left, bottom and right."""
    total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
    return total // 2, total // 2, total - total // 2, total - total // 2


def _spread(graph: Graph, maps: str) -> str:
    """Mean and deviation over space of maps [N, C, H, W], joined [N, 2 C]."""
    mean = graph.add("ReduceMean", maps, axes=[2, 3], keepdims=1)
    away = graph.add("Sub", maps, mean)
    variance = graph.add("ReduceMean", graph.add("Mul", away, away), axes=[2, 3], keepdims=0)
    flat = graph.add("Flatten", mean)
    return graph.add("Concat", flat, graph.add("Sqrt", variance), axis=1)
