"""Emit a sequential network as C: `emit_network` makes its tables and fills the network template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from modelgpt_edge.child import Floats
from modelgpt_edge.errors import InputError
from modelgpt_edge.network import Network, centred
from modelgpt_edge.targets.backend import PixelNetwork
from modelgpt_edge.targets.cortexm.emitted import Emitted
from modelgpt_edge.targets.cortexm.literals import class_literals, comment, numbered
from modelgpt_edge.targets.cortexm.network_fp32 import fp32_code
from modelgpt_edge.targets.cortexm.network_int8 import int8_code
from modelgpt_edge.targets.cortexm.network_plan import fused
from modelgpt_edge.targets.cortexm.template import fill

COLOURS = 3
NUMERICS = {
    "int8": "int8: weights int8 with a scale for each channel, rows of int16, maps of int8, integer sums.",
    "fp32": "fp32: float32 throughout.",
}


def emit_network(
    network: Network,
    precision: str,
    calibration: Floats | None = None,
    name: str = "model",
    pixels: bool = False,
    classes: Sequence[str] = (),
) -> Emitted:
    """Emit a network as one .c and one .h.

    Args:
        precision: ``int8`` or ``fp32``.
        calibration: (N, *input_shape) float32 inputs that tell int8 how large values get; fp32 needs none.
        name: prefix of the public names, and of the header's file.
        pixels: whether the C takes pictures of bytes, of which the network's inputs are those less `network.MIDDLE`; see
            `network.centred`, which calibration inputs have gone through.
        classes: names of the outputs, in their order; none where they have none.

    Raises:
        InputError: the name is no C identifier, int8 lacks calibration inputs that fit, or pixels aren't maps.
    """
    network = fused(network)
    if pixels and len(network.input_shape) != 3:
        cure = "Give a network of (height, width, channels)."
        raise InputError("pixels go into a network of maps", where="the C emitter", seen=network.input_shape, cure=cure)
    if precision == "int8":
        if calibration is None:
            raise InputError("int8 needs calibration inputs", where="the C emitter", cure="Give some real inputs.")
        code = int8_code(network, calibration, pixels)
        members = f"int32_t aligned; int16_t rows[{code.scratch_bytes // 2}]; int8_t maps[{code.scratch_bytes}];"
    else:
        code = fp32_code(network, pixels)
        members = f"float values[{max(1, code.scratch_bytes // 4)}];"
    outputs = int(np.prod(network.shapes()[-1]))
    prefix, inputs = name.upper(), int(np.prod(network.input_shape))
    blocks = {
        "title": comment([*_title(precision), f"What goes in and out is told in {name}.h."]),
        "heading": comment(_heading(name, precision, network, pixels, classes)),
        "sizes": "\n".join(
            (
                f"#define {prefix}_INPUTS {inputs}",
                f"#define {prefix}_OUTPUTS {outputs}",
                f"#define {prefix}_SCRATCH_BYTES {max(4, code.scratch_bytes)} /* what {name}_scratch takes of RAM */",
            )
        ),
        "scratch": f"typedef {'union' if precision == 'int8' else 'struct'} {{ {members} }} {name}_scratch;",
        "classes": class_literals(classes),
        "tables": "\n".join(table.declaration() for table in code.tables),
        "layers": "\n".join(code.layers),
        "calls": "\n".join(code.calls).replace("MODEL_", f"{prefix}_"),
    }
    flags = code.flags | {"pixels" if pixels else "floats"} | ({"classes"} if classes else set())
    return Emitted(
        source=fill(f"network_{precision}.c", name, flags, blocks),
        header=fill("network.h", name, flags, blocks),
        precision=precision,
        table_bytes=sum(table.bytes for table in code.tables),
        scratch_bytes=max(4, code.scratch_bytes),
    )


def emit_pixels(model: PixelNetwork, precision: str, name: str = "model") -> Emitted:
    """Emit a model of pictures, whose C takes bytes of red, green and blue; see `emit_network`."""
    return emit_network(model.network, precision, centred(model.calibration), name, pixels=True, classes=model.classes)


def _title(precision: str) -> Iterator[str]:
    yield "A generated network, in C by modelgpt-edge. It needs no libc and no heap; its tables are constant."
    yield f"{NUMERICS[precision]} It computes the same bits on every core and host."


def _heading(name: str, precision: str, network: Network, pixels: bool, classes: Sequence[str]) -> Iterator[str]:
    prefix, shape = name.upper(), network.input_shape
    given = "pixels" if pixels else "input"
    yield from _title(precision)
    yield ""
    yield f"    static {name}_scratch scratch;"
    yield f"    float outputs[{prefix}_OUTPUTS];"
    yield f"    int32_t place = {name}_run({given}, outputs, &scratch);"
    yield ""
    if len(shape) == 3:
        colours = " (red, green, blue)" if pixels and shape[2] == COLOURS else ""
        size = f"{shape[0]} rows of {shape[1]} places of {shape[2]} channels{colours}"
        yield f"{given}[{prefix}_INPUTS]: {size}, channels changing fastest."
        if pixels:
            yield "    The whole picture squashed to that as by Pillow's bilinear resize: each place a mean of pixels there."
    else:
        yield f"input[{prefix}_INPUTS]: {shape[0]} features."
    yield f"outputs[{prefix}_OUTPUTS]: {'x'.join(map(str, network.shapes()[-1]))}, of these layers:"
    yield "    " + ", ".join(type(layer).__name__ for layer in network.layers)
    if classes:
        yield "Their classes, in order:"
        yield from numbered(classes)
