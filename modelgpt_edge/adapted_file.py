"""An encoder's adapted attention and the head on it, as safetensors: all that makes a task's own model of a sentence encoder.

Weights have transformers' names and layout, (outputs, inputs), so that they can be laid over the encoder's own; one of int8 has
a scale for each output beside it. Like `child_file`, the same arrays give the same bytes, and nothing of torch comes in here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.child import Floats
from modelgpt_edge.compile.precision import quantised
from modelgpt_edge.errors import InputError, PackageError, nearest
from modelgpt_edge.parameters.text.lora import PARTS
from modelgpt_edge.text_head import TextHead

# What weights may be stored in, and bytes of a number.
PRECISIONS: Mapping[str, int] = {"fp32": 4, "fp16": 2, "int8": 1}
ABOUT, FORMAT = "modelgpt-edge", "modelgpt-edge adapted encoder 1"
SCALE, WEIGHT, BIAS, CLASSES = "_scale", "head_weight", "head_bias", "classes"
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Product:
    """The weight of a product as it is stored: values (inputs, outputs), and of int8 the step of each output (outputs,)."""

    values: NDArray[Any]
    steps: Floats | None = None

    @staticmethod
    def of(weight: Floats, precision: str) -> Product:
        """A weight in a precision of PRECISIONS; what is beyond a float16 is infinite there."""
        if precision == "int8":
            return Product(*quantised(weight))
        with np.errstate(over="ignore"):
            return Product(weight.astype(np.float16 if precision == "fp16" else np.float32))


@dataclass(frozen=True, eq=False)
class Adapted:
    """What a file is read to: the encoder with its weights as they were sent, and the head that was solved on it."""

    encoder: TextEncoder
    head: TextHead
    classes: tuple[str, ...]


def require_precision(name: str) -> None:
    """InputError where weights can't be stored so."""
    if name not in PRECISIONS:
        cure = nearest(name, PRECISIONS)
        raise InputError("weights aren't sent in such a precision", where="precision", seen=name, cure=cure)


def attention_arrays(products: Sequence[Product]) -> Arrays:
    """The products of attention by name, of each layer those of `lora.attention` in turn."""
    arrays: Arrays = {}
    for layer, (qkv, out) in enumerate(zip(products[::2], products[1::2])):
        values = [*np.split(qkv.values, len(PARTS), 1), out.values]
        for name, value in zip(_names(layer), values):
            arrays[name] = np.ascontiguousarray(value.T)
        if qkv.steps is not None and out.steps is not None:
            steps = [*np.split(qkv.steps, len(PARTS)), out.steps]
            arrays |= {name + SCALE: np.ascontiguousarray(step[:, None]) for name, step in zip(_names(layer), steps)}
    return arrays


def lay_over(encoder: TextEncoder, arrays: Mapping[str, NDArray[Any]]) -> TextEncoder:
    """The encoder with the attention of `attention_arrays` in place of its own, in float32 as it will be used.

    Raises:
        KeyError, ValueError: arrays are missing, or not of this encoder's sizes.
    """
    weights = dict(encoder.weights)
    for name in (name for layer in range(encoder.files.shape.layers) for name in _names(layer)):
        made = arrays[name].astype(np.float32)
        if arrays[name].dtype == np.int8:
            made *= arrays[name + SCALE]
        if made.shape != weights[name].shape:
            raise ValueError(f"{name} is {made.shape} where {weights[name].shape} is due")
        weights[name] = made
    return replace(encoder, weights=weights, adapted=True)


def adapted_bytes(
    arrays: Mapping[str, NDArray[Any]], head: TextHead, classes: Sequence[str], encoder: TextEncoder, generator_sha256: str
) -> bytes:
    """The file: attention, head, and the names of the classes as JSON; its metadata say which encoder it is to be laid over."""
    told = {
        "format": FORMAT,
        "encoder": encoder.files.name,
        "encoder_sha256": encoder.files.sha256,
        "generator_sha256": generator_sha256,
    }
    names = np.frombuffer(json.dumps(list(classes)).encode(), np.uint8)
    every = {**arrays, WEIGHT: np.ascontiguousarray(head.weight), BIAS: np.ascontiguousarray(head.bias), CLASSES: names}
    # One entry, for safetensors writes several in an order that changes.
    return bytes(save(every, {ABOUT: json.dumps(told)}))


def read_adapted(content: bytes, encoder: TextEncoder) -> Adapted:
    """Read what `adapted_bytes` wrote for an encoder.

    Raises:
        PackageError: it is no such file, or one for another encoder.
    """
    where, cure = "adapted encoder", "Ask for it anew, and keep all of the answer."
    try:
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        told = json.loads(header["__metadata__"][ABOUT])
        arrays = load(content)
        classes = tuple(json.loads(arrays[CLASSES].tobytes()))
        ours = told["format"] == FORMAT
        if ours and told["encoder_sha256"] == encoder.files.sha256:
            return Adapted(lay_over(encoder, arrays), TextHead(arrays[WEIGHT], arrays[BIAS]), classes)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise PackageError("the adapted encoder can't be read", where=where, seen=str(error), cure=cure) from error
    if not ours:
        raise PackageError("the adapted encoder can't be read", where=where, seen=told["format"], cure=cure)
    cure = f"Lay it over {told['encoder']}, the same files that it was made for."
    raise PackageError("this was adapted from another encoder", where=where, seen=encoder.files.name, cure=cure)


def _names(layer: int) -> tuple[str, ...]:
    """transformers' names of a layer's products: queries, keys, values, outputs."""
    own = f"encoder.layer.{layer}.attention"
    return (*(f"{own}.self.{part}.weight" for part in PARTS), f"{own}.output.dense.weight")
