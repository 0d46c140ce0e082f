"""A generated model of texts: a frozen sentence encoder, and the head that was emitted for the task."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from modelgpt_edge.child import Floats, softmax
from modelgpt_edge.errors import PackageError

HEAD = "head.safetensors"


@dataclass(frozen=True)
class TextHead:
    """Logits of embeddings (N, D): ``embeddings @ weight + bias``, weight (D, K) and bias (K,)."""

    weight: Floats
    bias: Floats

    def logits(self, embeddings: Floats) -> Floats:
        """(N, K)."""
        return embeddings @ self.weight + self.bias

    def probabilities(self, embeddings: Floats) -> Floats:
        """(N, K)."""
        return softmax(self.logits(embeddings))

    def scaled(self, factor: float) -> TextHead:
        """All logits times a factor."""
        return TextHead(self.weight * np.float32(factor), self.bias * np.float32(factor))

    def to_bytes(self, classes: tuple[str, ...]) -> bytes:
        """As safetensors, names of the classes beside it; the same head gives the same bytes."""
        names = np.frombuffer(json.dumps(classes).encode(), np.uint8)
        return bytes(save({"weight": np.ascontiguousarray(self.weight), "bias": self.bias, "classes": names}))

    @staticmethod
    def read(path: Path) -> TextHead:
        """Read what `to_bytes` wrote; PackageError where it can't be."""
        try:
            tensors = load_file(path)
            return TextHead(tensors["weight"], tensors["bias"])
        except (SafetensorError, KeyError, OSError) as error:
            raise PackageError("the head can't be read", where=path.name, seen=str(error), cure="Build anew.") from error
