"""The LoRA hypernetwork as it is trained, and the heads that tell it how good its encoders are.

`parameters/text/lora.py` has the hypernetwork's equations, and says what is what. The heads stand in for the product's, which
is solved to convergence: they have closed forms, so gradients pass through them. They aren't shipped.
"""

from __future__ import annotations

import math

import torch  # noqa: TID251 - what is trained is a torch model
from torch import Tensor, nn  # noqa: TID251
from torch.nn import functional  # noqa: TID251

from modelgpt_edge.parameters.text.lora import PRODUCTS, SCALE, LoraShape
from modelgpt_edge.training.text.encoder import Factors

# Spread of the coefficients' weights at the beginning: tasks differ by little then.
SPREAD = 0.02
# What the heads begin with: factor on cosines, examples that a name is worth, and penalty of the ridge head.
COSINES, NAME_WORTH, PENALTY = 20.0, 2.0, 1.0


class Hypernetwork(nn.Module):
    """A task as `describe_task` has it to the low-rank updates of an encoder's attention."""

    def __init__(self, shape: LoraShape) -> None:
        super().__init__()
        self.shape = shape
        arrays = shape.arrays
        self.hidden = nn.Linear(2 * shape.width + 3, shape.hidden)
        self.coefficients = nn.Linear(shape.hidden, shape.layers * shape.basis)
        nn.init.normal_(self.coefficients.weight, std=SPREAD)
        nn.init.constant_(self.coefficients.bias, shape.basis**-0.5)
        self.qkv, self.out = (
            _Updates(arrays[f"{product}.basis"], arrays[f"{product}.up"], shape.width) for product in PRODUCTS
        )

    def forward(self, task: Tensor) -> list[Factors]:
        """Factors A (D, r), the scale in them, and B (r, outputs), of each layer those of `lora.attention` in turn."""
        made = self.coefficients(torch.tanh(self.hidden(task)))
        every = made.view(self.shape.layers, self.shape.basis)
        found = []
        for layer in range(self.shape.layers):
            for updates in (self.qkv, self.out):
                left = (every[layer] @ updates.basis[layer]).view(self.shape.width, self.shape.rank)
                found.append((SCALE * left, updates.up[layer]))
        return found


class _Updates(nn.Module):
    """Basis (L, J, D r) and B (L, r, outputs) of one product of every layer."""

    def __init__(self, basis: tuple[int, ...], up: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.basis = nn.Parameter(torch.randn(basis) * width**-0.5)
        self.up = nn.Parameter(torch.zeros(up))


class Heads(nn.Module):
    """Two heads in closed form: classes' centroids that begin at their names, and ridge regression from the names on."""

    def __init__(self) -> None:
        super().__init__()
        self.cosines = nn.Parameter(torch.tensor(math.log(COSINES)))
        self.worth = nn.Parameter(torch.tensor(math.log(NAME_WORTH)))
        self.ridge = nn.Parameter(torch.tensor([math.log(COSINES), math.log(PENALTY)]))

    def forward(self, names: Tensor, support: Tensor, labels: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of queries (Q, K) by each head; the same where there is no example.

        Args:
            names: (K, D), support: (N, D), queries: (Q, D), all of unit length; labels: places (N,) of the examples' classes.
        """
        targets = functional.one_hot(labels, len(names)).float()
        worth = self.worth.exp()
        centroids = functional.normalize(targets.T @ support + worth * names, dim=-1)
        cosines = self.cosines.exp() * queries @ centroids.T
        if not len(support):
            return cosines, cosines
        return cosines, self._ridge(names, support, targets, queries)

    def _ridge(self, names: Tensor, support: Tensor, targets: Tensor, queries: Tensor) -> Tensor:
        """Ridge regression of what the names leave unsaid, in the dual (Bertinetto et al. 2019), on texts less their mean."""
        factor, penalty = self.ridge.exp()
        mean = support.mean(0)
        centred, asked = support - mean, queries - mean
        said = functional.normalize(names - names.mean(0), dim=-1)
        rest = (targets - 1 / len(names)) - centred @ said.T
        kernel = centred @ centred.T + penalty * torch.eye(len(support), device=support.device)
        solved = torch.linalg.solve(kernel, rest)
        return factor * (asked @ said.T + asked @ centred.T @ solved)
