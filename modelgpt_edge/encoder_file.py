"""The encoder on disk: its tables as safetensors, its names and words as JSON beside them."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from modelgpt_edge.child import Encoder
from modelgpt_edge.errors import PackageError

_TEXTS = ("numbers", "words", "vocabularies")
# The texts lie in a tensor of bytes, not in the metadata, whose order safetensors leaves to chance.
_TEXT = "texts"


def encoder_tensors(encoder: Encoder) -> dict[str, np.ndarray]:
    """An encoder's arrays by name, and its texts as bytes."""
    tensors = {f.name: np.ascontiguousarray(getattr(encoder, f.name)) for f in fields(Encoder) if f.name not in _TEXTS}
    texts = json.dumps({name: getattr(encoder, name) for name in _TEXTS}).encode()
    return {**tensors, _TEXT: np.frombuffer(texts, np.uint8)}


def tensors_encoder(tensors: dict[str, np.ndarray]) -> Encoder:
    """What `encoder_tensors` took apart; KeyError, TypeError or ValueError where it isn't that."""
    texts = json.loads(tensors[_TEXT].tobytes())
    numbers, words, vocabularies = (texts[name] for name in _TEXTS)
    arrays = {name: array for name, array in tensors.items() if name != _TEXT}
    return Encoder(numbers=tuple(numbers), words=tuple(words), vocabularies=tuple(map(tuple, vocabularies)), **arrays)


def encoder_bytes(encoder: Encoder) -> bytes:
    """An encoder as safetensors; the same encoder gives the same bytes."""
    return bytes(save(encoder_tensors(encoder)))


def read_encoder(path: Path) -> Encoder:
    """Read what `encoder_bytes` wrote; PackageError where it can't be."""
    try:
        return tensors_encoder(load_file(path))
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise PackageError("the encoder can't be read", where=path.name, seen=str(error), cure="Build anew.") from error
