"""The tables and calls of a network in fp32."""

from __future__ import annotations

import numpy as np

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
    Shape,
    Softmax,
)
from modelgpt_edge.targets.cortexm.literals import Table
from modelgpt_edge.targets.cortexm.network_plan import Buffers, NetworkCode, initialiser
from modelgpt_edge.targets.cortexm.quantise import pad, round_up
from modelgpt_edge.targets.cortexm.tabular_fp32 import tiled
from modelgpt_edge.targets.cortexm.tabular_tables import float_tables

FLAGS = {
    Dense: {"dense", "dot", "activated"},
    Conv2D: {"conv", "kernel", "dot", "activated"},
    DepthwiseConv2D: {"depthwise", "kernel", "activated"},
    MaxPool: {"pool", "max_pool"},
    AveragePool: {"pool", "average_pool"},
    GlobalAveragePool: {"global_average"},
    Softmax: {"softmax"},
}


def fp32_code(network: Network, pixels: bool = False) -> NetworkCode:
    """Tables, layers and calls; the first layer reads the caller's input, the last one writes the caller's outputs.

    Args:
        pixels: whether the inputs come as bytes, which are centred before the first layer.
    """
    shapes = (network.input_shape, *network.shapes())
    steps = [
        (layer, a, b) for layer, a, b in zip(network.layers, shapes, shapes[1:]) if not isinstance(layer, (Flatten, Softmax))
    ]
    window = max([layer.weight[..., 0].size for layer in network.layers if isinstance(layer, Conv2D)], default=0)
    kept = [after for _, _, after in steps[:-1]]
    if pixels and steps:
        kept.insert(0, network.input_shape)
    buffers = Buffers.of([4 * int(np.prod(shape)) for shape in kept], 4 * window)
    places = [f"scratch->values + {offset // 4}" for offset in buffers.offsets]
    count = int(np.prod(network.input_shape))
    tables: list[Table] = []
    layers: list[str] = []
    calls: list[str] = []
    flags: set[str] = set().union(*(FLAGS.get(type(layer), set()) for layer in network.layers))
    if pixels:
        calls.append(f"    centred(pixels, {places[0] if steps else 'outputs'}, {count});")
    else:
        places.insert(0, "input")
    places.append("outputs")
    for place, (layer, before, after) in enumerate(steps):
        x, y = places[place : place + 2]
        name = f"layer{place}"
        made = _tables(layer, name)
        tables += made
        struct = _struct(layer, name, before, after)
        if struct:
            layers.append(struct)
        flags |= {"copy", "activated"} if not FLAGS.get(type(layer)) else set()
        calls.append("    " + _call(layer, name, x, y, before, f"scratch->values + {buffers.window // 4}"))
    if not steps and not pixels:
        calls.append(f"    copy(input, outputs, {count}, 0);")
        flags |= {"copy", "activated"}
    if not buffers.total:
        calls.insert(0, "    (void)scratch;")
    if isinstance(network.layers[-1], Softmax):
        calls.append("    softmax(outputs, MODEL_OUTPUTS);")
    return NetworkCode(tuple(tables), tuple(layers), tuple(calls), frozenset(flags), buffers.total)


def _tables(layer: Layer, name: str) -> list[Table]:
    if isinstance(layer, DepthwiseConv2D):
        return float_tables(**{f"{name}_weight": layer.weight.ravel(), f"{name}_bias": layer.bias})
    if isinstance(layer, (Dense, Conv2D)):
        outputs = round_up(layer.bias.size, 4)
        weight = tiled(pad(layer.weight.reshape(-1, layer.bias.size), 1, outputs))
        return float_tables(**{f"{name}_weight": weight, f"{name}_bias": pad(layer.bias, 0, outputs)})
    return []


def _struct(layer: Layer, name: str, before: Shape, after: Shape) -> str:
    arrays = (f"{name}_weight", f"{name}_bias")
    if isinstance(layer, Dense):
        return initialiser("dense_layer", name, (*arrays, before[0], after[0], int(layer.relu)))
    if isinstance(layer, (Conv2D, DepthwiseConv2D)):
        fields = (*before, *after, *layer.weight.shape[:2], layer.stride, *layer.padding[:2], int(layer.relu))
        return initialiser("kernel_layer", name, (*arrays, *fields))
    if isinstance(layer, (MaxPool, AveragePool)):
        return initialiser("pool_layer", name, (before[1], before[2], after[0], after[1], layer.size, layer.stride))
    return ""


def _call(layer: Layer, name: str, x: str, y: str, before: Shape, window: str) -> str:
    if isinstance(layer, Dense):
        return f"dense({x}, {y}, &{name});"
    if isinstance(layer, Conv2D):
        return f"conv({x}, {y}, {window}, &{name});"
    if isinstance(layer, DepthwiseConv2D):
        return f"depthwise({x}, {y}, &{name});"
    if isinstance(layer, MaxPool):
        return f"max_pool({x}, {y}, &{name});"
    if isinstance(layer, AveragePool):
        return f"average_pool({x}, {y}, &{name});"
    if isinstance(layer, GlobalAveragePool):
        return f"global_average({x}, {y}, {before[0] * before[1]}, {before[2]});"
    return f"copy({x}, {y}, {int(np.prod(before))}, 1);"
