"""The child on disk: every array as safetensors, names and words as JSON in a tensor of bytes beside them.

A package carries it so that new forms of the model (C code, refitted variants) can be made without its data.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from modelgpt_edge.child import Child, Encoder, Units
from modelgpt_edge.encoder_file import encoder_tensors, tensors_encoder
from modelgpt_edge.errors import PackageError

CHILD = "child.safetensors"
_CLASSES = "classes"


def child_bytes(child: Child) -> bytes:
    """A child as safetensors; the same child gives the same bytes."""
    tensors = {f"encoder.{name}": array for name, array in encoder_tensors(child.encoder).items()}
    tensors |= child_tensors(child)
    tensors[_CLASSES] = np.frombuffer(json.dumps(child.classes).encode(), np.uint8)
    return bytes(save(tensors))


def child_tensors(child: Child) -> dict[str, np.ndarray]:
    """A child's units and head as arrays by name: all that isn't encoding."""
    tensors = {f"units.{f.name}": np.ascontiguousarray(getattr(child.units, f.name)) for f in fields(Units)}
    return tensors | {
        "head_weight": np.ascontiguousarray(child.head_weight),
        "head_bias": np.ascontiguousarray(child.head_bias),
    }


def read_child(path: Path) -> Child:
    """Read what `child_bytes` wrote; PackageError where it can't be."""
    try:
        tensors = load_file(path)
        encoder: Encoder = tensors_encoder(_part(tensors, "encoder."))
        units = Units(**_part(tensors, "units."))
        classes = tuple(json.loads(tensors[_CLASSES].tobytes()))
        return Child(encoder, units, tensors["head_weight"], tensors["head_bias"], classes)
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise PackageError("the child can't be read", where=path.name, seen=str(error), cure="Build anew.") from error


def _part(tensors: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}
