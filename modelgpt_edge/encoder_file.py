"""The encoder on disk: its tables as safetensors, its names and words in the metadata."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from modelgpt_edge.child import Encoder
from modelgpt_edge.errors import PackageError

_NAMES = ("numbers", "words", "vocabularies")


def encoder_bytes(encoder: Encoder) -> bytes:
    """An encoder as safetensors."""
    tensors = {f.name: np.ascontiguousarray(getattr(encoder, f.name)) for f in fields(Encoder) if f.name not in _NAMES}
    return bytes(save(tensors, metadata={name: json.dumps(getattr(encoder, name)) for name in _NAMES}))


def read_encoder(path: Path) -> Encoder:
    """Read what `encoder_bytes` wrote; PackageError where it can't be."""
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        numbers, words, vocabularies = (json.loads(metadata[name]) for name in _NAMES)
        return Encoder(numbers=tuple(numbers), words=tuple(words), vocabularies=tuple(map(tuple, vocabularies)), **tensors)
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise PackageError("the encoder can't be read", where=path.name, seen=str(error), cure="Build anew.") from error
