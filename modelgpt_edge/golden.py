"""Golden vectors on disk: inputs and the fp32 reference's outputs, written by the compiler and read by the runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
    """

    numbers: Floats
    words: NDArray[np.object_]
    outputs: Floats

    def to_bytes(self) -> bytes:
        """As safetensors; words as UTF-8 bytes, zero-padded, (N, S, L)."""
        encoded = [[str(w).encode("utf-8") for w in row] for row in self.words]
        longest = max((len(w) for row in encoded for w in row), default=0)
        text = np.zeros((*self.words.shape, max(longest, 1)), np.uint8)
        for i, row in enumerate(encoded):
            for j, word in enumerate(row):
                text[i, j, : len(word)] = np.frombuffer(word, np.uint8)
        return bytes(save({"numbers": self.numbers, "words": text, "outputs": self.outputs}))

    @staticmethod
    def read(path: Path) -> Golden:
        """Read what `to_bytes` wrote; PackageError where it can't be."""
        try:
            tensors = load_file(path)
            text = tensors["words"]
            words = np.empty(text.shape[:2], object)
            for i, j in np.ndindex(*words.shape):
                words[i, j] = text[i, j].tobytes().rstrip(b"\0").decode("utf-8")
            return Golden(tensors["numbers"], words, tensors["outputs"])
        except (SafetensorError, KeyError, ValueError, OSError) as error:
            raise PackageError(
                "the golden vectors can't be read", where=path.name, seen=str(error), cure="Build anew."
            ) from error
