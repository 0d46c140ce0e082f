"""BERT (Devlin et al. 2019) in torch, eager and in float32, for gradients to pass through; `bert.py` writes the same graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch  # noqa: TID251 - what is trained is a torch model
from torch import Tensor  # noqa: TID251
from torch.nn import functional  # noqa: TID251

from modelgpt_edge.architecture.text.bert import FAR
from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.architecture.text.shape import Shape
from modelgpt_edge.parameters.text.lora import attention
from modelgpt_edge.tokens import padded

# Texts that go through at once, of about the same length: padding costs as much as text does.
TEXTS = 64
# Low-rank factors (D, r) and (r, outputs) of a product, their scale in the first.
Factors = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class TorchEncoder:
    """An encoder's weights as tensors that aren't trained.

    Attributes:
        products: of each layer its queries, keys and values as one (D, 3 D), then (D, D) of the attention's output.
    """

    shape: Shape
    pooling: str
    weights: Mapping[str, Tensor]
    products: Sequence[Tensor]

    @staticmethod
    def of(encoder: TextEncoder, device: torch.device) -> TorchEncoder:
        """The same encoder on a device."""
        products = [weight for layer in range(encoder.files.shape.layers) for weight in attention(encoder, layer)]
        return TorchEncoder(
            encoder.files.shape,
            encoder.files.pooling,
            {name: torch.from_numpy(array.copy()).to(device) for name, array in encoder.weights.items()},
            [torch.from_numpy(np.ascontiguousarray(weight)).to(device) for weight in products],
        )

    def embed(self, ids: Sequence[Sequence[int]], updates: Sequence[Factors] = ()) -> Tensor:
        """Embeddings of unit length (N, D) of texts by their token ids.

        Args:
            updates: what is added to the products, as low-rank factors in the same order; none for the plain encoder.
        """
        order = np.argsort([len(own) for own in ids], kind="stable")
        parts = []
        for some in np.split(order, range(TEXTS, len(order), TEXTS)):
            codes = torch.from_numpy(padded([ids[i] for i in some])).long().to(self.products[0].device)
            parts.append(self._pool(self._states(codes, updates), codes >= 0))
        back = torch.from_numpy(np.argsort(order)).to(self.products[0].device)
        return torch.cat(parts)[back]

    def _states(self, codes: Tensor, updates: Sequence[Factors]) -> Tensor:
        """Last hidden states (N, L, D) of codes (N, L), -1 after a text's end."""
        weights = self.weights
        x = weights["embeddings.word_embeddings.weight"][codes.clamp(min=0)]
        x = x + weights["embeddings.position_embeddings.weight"][: codes.shape[1]]
        if self.shape.kinds:
            x = x + weights["embeddings.token_type_embeddings.weight"][0]
        x = self._norm("embeddings.LayerNorm", x)
        bias = ((codes < 0).float() * FAR)[:, None, None]
        for layer in range(self.shape.layers):
            own = f"encoder.layer.{layer}"
            x = self._norm(f"{own}.attention.output.LayerNorm", x + self._attend(layer, x, bias, updates))
            inner = functional.gelu(self._linear(f"{own}.intermediate.dense", x))
            x = self._norm(f"{own}.output.LayerNorm", x + self._linear(f"{own}.output.dense", inner))
        return x

    def _attend(self, layer: int, x: Tensor, bias: Tensor, updates: Sequence[Factors]) -> Tensor:
        own = f"encoder.layer.{layer}.attention"
        biases = torch.cat([self.weights[f"{own}.self.{part}.bias"] for part in ("query", "key", "value")])
        every = self._product(2 * layer, x, updates) + biases
        q, k, v = every.view(*x.shape[:2], 3, self.shape.heads, -1).permute(2, 0, 3, 1, 4)  # each (N, heads, L, D / heads)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(1, 2).flatten(2)
        return self._product(2 * layer + 1, mixed, updates) + self.weights[f"{own}.output.dense.bias"]

    def _product(self, place: int, x: Tensor, updates: Sequence[Factors]) -> Tensor:
        product = x @ self.products[place]
        if updates:
            left, right = updates[place]
            product = product + (x @ left) @ right
        return product

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return functional.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, name: str, x: Tensor) -> Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return functional.layer_norm(x, weight.shape, weight, bias, self.shape.epsilon)

    def _pool(self, x: Tensor, real: Tensor) -> Tensor:
        pooled = x[:, 0] if self.pooling == "cls" else (x * real[..., None]).sum(1)
        return functional.normalize(pooled, dim=-1, eps=1e-12)
