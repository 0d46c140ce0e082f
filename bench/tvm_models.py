"""Models that the TVM bench times beside the tabular one: untrained, as the weights don't matter to the clock."""

from __future__ import annotations

import io
import logging
import math
import warnings

import torch  # noqa: TID251 - the bench exports models as a user of torch would
from torch import nn  # noqa: TID251


class Mlp(nn.Module):
    """30-64-64-3 with ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class Cnn(nn.Module):
    """Three 3x3 convolutions on a picture of 3x32x32, mean over places, ten classes."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(16, 32, 3, padding=1, stride=2), nn.ReLU()),
            *(nn.Conv2d(32, 64, 3, padding=1, stride=2), nn.ReLU()),
        )
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).mean((2, 3)))


class Layer(nn.Module):
    """A transformer layer, normalised after each residual."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.grow, self.shrink = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        split = self.query_key_value(x).reshape(batch, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        attention = (query @ key.transpose(-1, -2) / math.sqrt(width // self.heads) + bias).softmax(-1)
        mixed = (attention @ value).transpose(1, 2).reshape(batch, length, width)
        x = self.first(x + self.out(mixed))
        return self.second(x + self.shrink(nn.functional.gelu(self.grow(x))))


class Encoder(nn.Module):
    """A text encoder of two layers, width 128, 4 heads, 64 tokens, with a mean over tokens and three classes."""

    def __init__(self, words: int = 8000, width: int = 128, length: int = 64) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(length, width)
        self.norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(Layer(width, 4, 4 * width) for _ in range(2))
        self.head = nn.Linear(width, 3)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.words(ids) + self.places.weight[None, : ids.shape[1]])
        seen = mask.to(x.dtype)
        for layer in self.layers:
            x = layer(x, (1 - seen)[:, None, None, :] * -1e4)
        return self.head((x * seen[:, :, None]).sum(1) / seen[:, :, None].sum(1))


def examples() -> dict[str, tuple[nn.Module, tuple[torch.Tensor, ...]]]:
    """Each model with inputs of one row."""
    torch.manual_seed(0)
    mask = torch.ones(1, 64, dtype=torch.int64)
    mask[:, 50:] = 0
    return {
        "MLP 30-64-64-3": (Mlp().eval(), (torch.randn(1, 30),)),
        "CNN, 3 convolutions on 3x32x32": (Cnn().eval(), (torch.randn(1, 3, 32, 32),)),
        "encoder, 2 layers of 128, 64 tokens": (Encoder().eval(), (torch.randint(0, 8000, (1, 64)), mask)),
    }


def export(model: nn.Module, inputs: tuple[torch.Tensor, ...]) -> bytes:
    """A model of fixed shapes as ONNX."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(model, inputs, dynamo=True, verbose=False)
        file = io.BytesIO()
        program.save(file)
    return file.getvalue()
