"""The corrector: a small transformer over the cells of a table that corrects the floor's logits on rows it has not seen.

It attends along columns, then along rows, as TabPFN v2 does (Hollmann et al. 2025; nanoTabPFN is the small public form). Its
last layer begins at zero, so that step 0 is exactly the floor.

Shape letters: B tables, N rows of which the first n are context, C columns, T tokens of a row (column pairs and the label),
S slots of a cell, K classes, D width, H heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch  # noqa: TID251 - what is trained is a torch model
from torch import Tensor, nn  # noqa: TID251
from torch.nn import functional  # noqa: TID251

from modelgpt_edge.parameters.cells import SLOTS
from modelgpt_edge.training.priors.sizes import CLASSES

# Logit of a class that the table hasn't: its probability is zero.
ABSENT = -1e4
# The floor's logits, of a few units, enter at the scale of the other inputs.
SCORE_SCALE = 0.25
# Columns share a token in pairs, which halves the work.
PAIR = 2


@dataclass(frozen=True)
class Architecture:
    """Sizes of a corrector: width D, layers, attention heads, and hidden units of each layer's perceptron."""

    width: int = 96
    layers: int = 3
    heads: int = 4
    hidden: int = 192


class Corrector(nn.Module):
    """Reads a table with the floor's logits, and tells by how much to correct those of the query rows."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width = architecture.width
        self.cell = nn.Linear(PAIR * SLOTS, width)
        self.label = nn.Linear(3 * CLASSES + 1, width)
        self.layers = nn.ModuleList(Layer(architecture) for _ in range(architecture.layers))
        self.norm = Norm(width)
        self.correction = nn.Linear(width, CLASSES)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)

    def forward(self, cells: Tensor, labels: Tensor, scores: Tensor, context: int) -> Tensor:
        """Corrections (B, N - n, K) of the query rows' logits; zero for classes without a context row.

        Args:
            cells: (B, N, C, S), context rows first.
            labels: one-hot (B, N, K); those of query rows aren't read.
            scores: the floor's logits (B, N, K), leave-one-out on context rows.
            context: n.
        """
        known = known_classes(labels, context)
        query = torch.zeros_like(scores[..., :1])
        query[:, context:] = 1
        shown = labels * (1 - query)
        chances = scores.masked_fill(~known, ABSENT).softmax(-1)
        floor = scores.masked_fill(~known, 0) * SCORE_SCALE
        label = self.label(torch.cat([shown, chances, floor, query], dim=-1))  # (B,N,3K+1) -> (B,N,D)

        columns = cells.shape[2]
        padded = functional.pad(cells, (0, 0, 0, columns % PAIR))
        paired = padded.reshape(*cells.shape[:2], -1, PAIR * SLOTS)  # (B,N,C,S) -> (B,N,C/2,2S)
        # What layers add up stays float32 also where autocast makes them multiply in bfloat16.
        tokens = torch.cat([self.cell(paired), label[:, :, None]], dim=2).float()  # (B,N,T,D)
        for layer in self.layers:
            tokens = layer(tokens, context)
        correction: Tensor = self.correction(self.norm(tokens[:, context:, -1]))
        return correction.masked_fill(~known, 0)


class Layer(nn.Module):
    """Attention along the columns of each row, then along the rows of each column, then a perceptron; all pre-norm residual."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width, heads, hidden = architecture.width, architecture.heads, architecture.hidden
        self.norm_columns, self.norm_rows, self.norm_hidden = Norm(width), Norm(width), Norm(width)
        self.columns, self.rows = Attention(width, heads), Attention(width, heads)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, tokens: Tensor, context: int) -> Tensor:
        """Tokens (B, N, T, D) to the same; every row attends to the context rows alone, so query rows can't see each other."""
        batch, rows, count, _ = tokens.shape
        along_columns = self.norm_columns(tokens).flatten(0, 1)  # (B*N,T,D)
        tokens = tokens + self.columns(along_columns, along_columns).unflatten(0, (batch, rows))
        along_rows = self.norm_rows(tokens).transpose(1, 2).flatten(0, 1)  # (B*T,N,D)
        attended = self.rows(along_rows, along_rows[:, :context])
        tokens = tokens + attended.unflatten(0, (batch, count)).transpose(1, 2)
        result: Tensor = tokens + self.down(functional.gelu(self.up(self.norm_hidden(tokens))))
        return result


class Attention(nn.Module):
    """Multi-head attention of a sequence to another one, without biases."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        """Sequences (G, N, D) attend to others (G, M, D): (G, N, D)."""
        query = self.query(asking).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (G,H,N,D/H)
        key, value = self.key_value(asked).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each (G,H,M,D/H)
        attended = functional.scaled_dot_product_attention(query, key, value)
        result: Tensor = self.out(attended.transpose(1, 2).flatten(2))
        return result


class Norm(nn.Module):
    """RMSNorm with a gain (Zhang and Sennrich 2019)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (..., D) over their root mean square."""
        return functional.rms_norm(tokens, self.gain.shape, self.gain, 1e-6)


def known_classes(labels: Tensor, context: int) -> Tensor:
    """Which classes a table has, (B, 1, K): those of its context rows. labels: one-hot (B, N, K)."""
    return labels[:, :context].sum(1, keepdim=True) > 0
