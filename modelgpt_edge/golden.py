"""Golden vectors on disk: inputs and the fp32 reference's outputs, written by the compiler and read by the runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from modelgpt_edge.child import Floats
from modelgpt_edge.errors import PackageError


@dataclass(frozen=True)
class Golden:
    """N golden rows.

    Attributes:
        numbers: (N, C) float32, NaN where missing; words: (N, S) strings; outputs: (N, K) of the reference.
        unit: deviation of the label, which differences of values are measured in; 1 for classes.
        pictures: (N, S, S, 3) uint8 of a model of pictures, which has no numbers and no words; None for others.
    """

    numbers: Floats
    words: NDArray[np.object_]
    outputs: Floats
    unit: float = 1.0
    pictures: NDArray[np.uint8] | None = None

    def to_bytes(self) -> bytes:
        """As safetensors; words as one run of UTF-8 bytes (L,), row after row, and their lengths in bytes (N, S)."""
        encoded = [str(word).encode() for word in self.words.flat]
        lengths = np.array([len(word) for word in encoded], np.int32).reshape(self.words.shape)
        text = np.frombuffer(b"".join(encoded), np.uint8)
        unit = np.array([self.unit])
        tensors: dict[str, NDArray[Any]] = {
            "numbers": self.numbers,
            "words": text,
            "lengths": lengths,
            "outputs": self.outputs,
            "unit": unit,
        }
        return bytes(save(tensors if self.pictures is None else tensors | {"pictures": self.pictures}))

    @staticmethod
    def read(path: Path) -> Golden:
        """Read what `to_bytes` wrote; PackageError where it can't be."""
        try:
            tensors = load_file(path)
            text, lengths = tensors["words"].tobytes(), tensors["lengths"]
            ends = np.cumsum(lengths)
            words = np.empty(lengths.shape, object)
            for i, (end, size) in enumerate(zip(ends, lengths.flat)):
                words.flat[i] = text[end - size : end].decode()
            return Golden(tensors["numbers"], words, tensors["outputs"], float(tensors["unit"][0]), tensors.get("pictures"))
        except (SafetensorError, KeyError, ValueError, OSError) as error:
            raise PackageError(
                "the golden vectors can't be read", where=path.name, seen=str(error), cure="Build anew."
            ) from error
