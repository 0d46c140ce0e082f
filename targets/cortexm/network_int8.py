"""The tables and calls of a network in int8: weights int8 with a scale a channel, maps int8, rows and the head's weights int16.

Maps are what fills the RAM. Measured on a network of three convolutions, int16 maps take twice of it for 2 dB (59 against 57 of
signal to noise), so maps are int8; one that is never negative uses all 256 values. Rows are short, and the multiplier takes
pairs of int16 anyway: there int16 costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from modelgpt_edge.child import Floats
from modelgpt_edge.errors import InputError
from modelgpt_edge.network import (
    MIDDLE,
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
from modelgpt_edge.targets.cortexm.literals import Table, float_literal
from modelgpt_edge.targets.cortexm.network_plan import Buffers, NetworkCode, initialiser
from modelgpt_edge.targets.cortexm.quantise import (
    LIMIT,
    SHORT,
    DenseInt8,
    Inputs,
    dense_int8,
    head_int16,
    multiplier_of,
    pack_pairs,
    pad,
    round_up,
)

LONGEST = 32767
# Rows have precision to spare, so they leave room for values twice as large as any that calibration saw.
HEADROOM = 2.0


@dataclass(frozen=True)
class Value:
    """What a layer hands on: the real value is ``(q - zero) * step``; rows are int16 with zero 0, maps int8."""

    shape: Shape
    step: float
    zero: int

    @property
    def is_map(self) -> bool:
        """Whether it is a map, not a row."""
        return len(self.shape) == 3

    @property
    def size(self) -> int:
        """Elements."""
        return int(np.prod(self.shape))

    @property
    def reach(self) -> int:
        """The largest distance of an element from zero, in steps."""
        return 128 - self.zero if self.is_map else LONGEST + 1

    @property
    def buffer(self) -> int:
        """Bytes of its buffer: rows are written four at a time and read in pairs."""
        return self.size if self.is_map else 2 * round_up(self.size, 4)


@dataclass
class _Code:
    """Tables, layers and flags as they come."""

    tables: list[Table] = field(default_factory=list)
    layers: list[str] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)


def int8_code(network: Network, calibration: Floats, pixels: bool = False) -> NetworkCode:
    """Tables, layers and calls.

    Args:
        calibration: (N, *input_shape) inputs that tell how large values get.
        pixels: whether the inputs are bytes less 128, which are int8 as they stand.

    Raises:
        InputError: the calibration inputs don't fit the network, or there are none.
    """
    if len(calibration) == 0 or calibration.shape[1:] != network.input_shape:
        cure = f"Give inputs of shape (N, {', '.join(map(str, network.input_shape))})."
        raise InputError("the calibration inputs don't fit the network", seen=calibration.shape, cure=cure)
    ranges = _ranges(network, calibration)
    probabilities = isinstance(network.layers[-1], Softmax)
    layers = network.layers[:-1] if probabilities else network.layers
    head = layers[-1] if layers and isinstance(layers[-1], Dense) and not layers[-1].relu else None
    first = Value(network.input_shape, 1.0, 0) if pixels else _value(network.input_shape, ranges[0])
    code, calls, values = _Code(), [], [first]
    shapes = network.shapes()
    for place, layer in enumerate(layers[:-1] if head else layers):
        after, call = _layer(code, layer, f"layer{place}", values[-1], _value(shapes[place], ranges[place + 1]))
        if call:
            values.append(after)
            calls.append(call)
        else:  # the same values in another shape
            values[-1] = after
    window = max([2 * (layer.weight[..., 0].size + 1) for layer in layers if isinstance(layer, Conv2D)], default=0)
    buffers = Buffers.of([v.buffer for v in values], window)
    places = [_place(v, offset) for v, offset in zip(values, buffers.offsets)]
    body = [_pixels(places[0]) if pixels else _entry(values[0], places[0])]
    body += [
        call.format(x=x, y=y, window=f"scratch->rows + {buffers.window // 2}") for call, x, y in zip(calls, places, places[1:])
    ]
    body += _head(code, head, values[-1], places[-1]) if head else [_exit(values[-1], places[-1])]
    body += ["softmax(outputs, MODEL_OUTPUTS);"] if probabilities else []
    code.flags |= {"softmax"} if probabilities else set()
    return NetworkCode(
        tuple(code.tables), tuple(code.layers), tuple("    " + line for line in body), frozenset(code.flags), buffers.total
    )


def _ranges(network: Network, x: Floats) -> list[tuple[float, float]]:
    """Least and largest of the inputs and of what each layer gives."""
    ranges = [(float(x.min()), float(x.max()))]
    for layer in network.layers:
        x = layer.forward(x)
        ranges.append((float(x.min()), float(x.max())))
    return ranges


def _value(shape: Shape, span: tuple[float, float]) -> Value:
    largest = max(abs(span[0]), abs(span[1]), 1e-6)
    if len(shape) == 1:
        return Value(shape, HEADROOM * largest / LONGEST, 0)
    return Value(shape, largest / 255, -128) if span[0] >= 0 else Value(shape, largest / 127, 0)


def _layer(code: _Code, layer: Layer, name: str, x: Value, y: Value) -> tuple[Value, str]:
    """Value after a layer, and the call that makes it; no call where the values stay as they are."""
    if isinstance(layer, Dense):
        inputs, outputs = round_up(x.size, 2), round_up(y.size, 4)
        q = _quantised(layer.weight, layer.bias, x, y)
        code.tables += _weights(name, "int16_t", pack_pairs(pad(q.weight, 0, inputs)), q)
        arrays = (f"{name}_weight", f"{name}_scale")
        low = 0 if layer.relu else -LONGEST - 1
        code.layers.append(initialiser("dense_layer", name, (*arrays, inputs, outputs, low)))
        code.flags |= {"dense", "dot", "sums", "rescale", "held"}
        return Value(y.shape, q.step_out, 0), f"dense({{x}}, {{y}}, &{name});"
    if isinstance(layer, (Conv2D, DepthwiseConv2D)):
        return _kernel(code, layer, name, x, y)
    if isinstance(layer, (MaxPool, AveragePool)):
        return _pool(code, layer, name, x, y)
    if isinstance(layer, GlobalAveragePool):
        area = x.shape[0] * x.shape[1]
        step = max(y.step, x.step / area / 0.49)
        multiplier, shift = multiplier_of(x.step / area / step)
        code.flags |= {"global_average", "rescale", "held"}
        numbers = f"{area}, {x.shape[2]}, {x.zero}, {multiplier}, {shift}"
        return Value(y.shape, step, 0), f"global_average({{x}}, {{y}}, {numbers});"
    if isinstance(layer, Flatten):
        after = Value(y.shape, x.step, 0)
        if not x.is_map:
            return after, ""
        code.flags |= {"flatten"}
        return after, f"flatten({{x}}, {{y}}, {x.size}, {x.zero});"
    after = Value(x.shape, x.step, x.zero)
    code.flags |= {"relu_map" if x.is_map else "relu_row"}
    return after, f"relu_map({{x}}, {{y}}, {x.size}, {x.zero});" if x.is_map else f"relu_row({{x}}, {{y}}, {x.size});"


def _kernel(code: _Code, layer: Conv2D | DepthwiseConv2D, name: str, x: Value, y: Value) -> tuple[Value, str]:
    q = _quantised(layer.weight.reshape(-1, layer.bias.size), layer.bias, x, y)
    after = Value(y.shape, q.step_out, y.zero)
    if isinstance(layer, Conv2D):
        packed = pack_pairs(pad(q.weight, 0, round_up(len(q.weight), 2)))
        code.tables += _weights(name, "int16_t", packed, q)
        code.flags |= {"conv", "kernel", "sums", "rescale"} | ({"ragged"} if layer.bias.size % 4 else set())
        call = f"conv({{x}}, {{y}}, {{window}}, &{name});"
    else:
        count = layer.bias.size
        code.tables += _weights(name, "int8_t", q.weight[:, :count], q)
        code.flags |= {"depthwise", "kernel", "rescale"}
        call = f"depthwise({{x}}, {{y}}, &{name});"
    place = (*layer.weight.shape[:2], layer.stride, *layer.padding[:2])
    fields = (*x.shape, x.zero, *y.shape, *place, q.shift, q.bias_shift)
    arrays = (f"{name}_weight", f"{name}_scale")
    code.layers.append(initialiser("kernel_layer", name, (*arrays, *fields)))
    return after, call


def _pool(code: _Code, layer: MaxPool | AveragePool, name: str, x: Value, y: Value) -> tuple[Value, str]:
    single = layer.size == 1  # one value is its own mean
    average = isinstance(layer, AveragePool) and not single
    multiplier, shift = multiplier_of(1 / max(layer.size**2, 4))
    fields = (x.shape[1], x.shape[2], y.shape[0], y.shape[1], layer.size, layer.stride, x.zero, multiplier, shift)
    code.layers.append(initialiser("pool_layer", name, fields))
    code.flags |= {"pool", "average_pool", "rescale"} if average else {"pool", "max_pool"}
    return Value(y.shape, x.step, x.zero), f"{'average' if average else 'max'}_pool({{x}}, {{y}}, &{name});"


def _quantised(weight: Floats, bias: Floats, x: Value, y: Value) -> DenseInt8:
    """Weights (J, channels) from one value to the next; a map's bias holds its zero, a row's has no shift and must fit."""
    outputs = round_up(bias.size, 4)
    wide, offset = weight.astype(np.float64), bias.astype(np.float64)
    inputs = Inputs.alike(len(wide), x.step, float(x.reach))
    step = y.step if y.is_map else max(y.step, float(np.abs(offset).max()) / LONGEST)
    return dense_int8(pad(wide, 1, outputs), pad(offset, 0, outputs), inputs, step, y.zero, SHORT if y.is_map else LIMIT)


def _weights(name: str, kind: str, weight: np.ndarray, q: DenseInt8) -> list[Table]:
    return [
        Table(kind, f"{name}_weight", weight, aligned=kind == "int16_t"),
        Table("int16_t", f"{name}_scale", q.scale),
    ]


def _head(code: _Code, layer: Dense, x: Value, place: str) -> list[str]:
    inputs = round_up(x.size, 2)
    q = head_int16(layer.weight.astype(np.float64), Inputs.alike(x.size, x.step, float(x.reach)))
    code.tables += [
        Table("int16_t", "head_weight", pad(q.weight, 0, inputs).T, aligned=True),
        Table("float", "head_scale", q.scale),
        Table("float", "head_bias", layer.bias),
    ]
    code.flags |= {"head"}
    return [
        "for (int32_t k = 0; k < MODEL_OUTPUTS; k++) {",
        f"    const int64_t sum = dot({place}, head_weight + {inputs} * k, {inputs // 2});",
        f"    outputs[k] = (float)(int32_t)(sum >> {q.shift}) * head_scale[k] + head_bias[k];",
        "}",
    ]


def _place(value: Value, offset: int) -> str:
    return f"scratch->maps + {offset}" if value.is_map else f"scratch->rows + {offset // 2}"


def _entry(x: Value, place: str) -> str:
    low, high = (0, 255) if x.zero else (-127, 127) if x.is_map else (-LONGEST, LONGEST)
    value = f"quantised(input[i], {float_literal(1 / x.step)}, {low}.0f, {high}.0f)"
    if x.zero:
        value += f" - {-x.zero}"
    return f"for (int32_t i = 0; i < MODEL_INPUTS; i++) ({place})[i] = ({'int8_t' if x.is_map else 'int16_t'})({value});"


def _pixels(place: str) -> str:
    return f"for (int32_t i = 0; i < MODEL_INPUTS; i++) ({place})[i] = (int8_t)(pixels[i] - {MIDDLE});"


def _exit(x: Value, place: str) -> str:
    zero = f" - {x.zero}".replace("- -", "+ ") if x.zero else ""
    return f"for (int32_t i = 0; i < MODEL_OUTPUTS; i++) outputs[i] = (float)(({place})[i]{zero}) * {float_literal(x.step)};"
