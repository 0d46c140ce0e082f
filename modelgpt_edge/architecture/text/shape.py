"""The sizes of a BERT, as its config.json tells them, and the arrays that they call for. No file is opened here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Shape:
    """Sizes of a BERT.

    Attributes:
        width: of the hidden states, D; inner: of the feed-forward layers.
        kinds: token types that it tells apart.
        epsilon: of its layer normalisations.
    """

    layers: int
    width: int
    heads: int
    inner: int
    words: int
    positions: int
    kinds: int
    epsilon: float

    @staticmethod
    def of(config: Mapping[str, Any]) -> Shape:
        """Read a config.json's values; KeyError, TypeError or ValueError where they are none of a BERT."""
        shape = Shape(
            layers=int(config["num_hidden_layers"]),
            width=int(config["hidden_size"]),
            heads=int(config["num_attention_heads"]),
            inner=int(config["intermediate_size"]),
            words=int(config["vocab_size"]),
            positions=int(config["max_position_embeddings"]),
            kinds=int(config.get("type_vocab_size", 2)),
            epsilon=float(config.get("layer_norm_eps", 1e-12)),
        )
        least = min(shape.layers, shape.width, shape.heads, shape.inner, shape.words, shape.positions, shape.kinds + 1)
        if least < 1 or shape.width % shape.heads:
            raise ValueError("its sizes are no model's")
        return shape

    @cached_property
    def arrays(self) -> Mapping[str, tuple[int, ...]]:
        """Shapes of its weights by their names in BERT; of a linear layer's weight that is (outputs, inputs)."""
        found: dict[str, tuple[int, ...]] = {
            "embeddings.word_embeddings.weight": (self.words, self.width),
            "embeddings.position_embeddings.weight": (self.positions, self.width),
        }
        if self.kinds:
            found["embeddings.token_type_embeddings.weight"] = (self.kinds, self.width)
        norms = ["embeddings.LayerNorm"]
        for layer in range(self.layers):
            own = f"encoder.layer.{layer}"
            norms += [f"{own}.attention.output.LayerNorm", f"{own}.output.LayerNorm"]
            linears = {f"attention.self.{part}": (self.width, self.width) for part in ("query", "key", "value")}
            linears["attention.output.dense"] = (self.width, self.width)
            linears["intermediate.dense"] = (self.inner, self.width)
            linears["output.dense"] = (self.width, self.inner)
            for name, (outputs, inputs) in linears.items():
                found |= {f"{own}.{name}.weight": (outputs, inputs), f"{own}.{name}.bias": (outputs,)}
        return found | {f"{name}.{part}": (self.width,) for name in norms for part in ("weight", "bias")}

    @property
    def parameters(self) -> int:
        """Numbers in its weights."""
        return sum(map(math.prod, self.arrays.values()))

    @property
    def products(self) -> int:
        """Matrix products with weights: queries, keys and values in one, their mixture, and two of the feed-forward layer."""
        return 4 * self.layers

    def macs(self, tokens: int) -> int:
        """Multiply-accumulates of one text of so many tokens."""
        layer = tokens * (4 * self.width**2 + 2 * self.width * self.inner) + 2 * tokens**2 * self.width
        return self.layers * layer
