"""The ModelGPT paper's own child, trained directly on the data: the upper bound of what its generator can emit.

Linear(d, 8), four times Linear(8, 8), Linear(8, K), with nothing between them (arXiv 2402.12408); 20 epochs of Adam at 2e-2,
batches of 32, cross entropy, on standardised and one-hot inputs.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch  # noqa: TID251 - the paper's child is a torch model

HIDDEN, LAYERS, EPOCHS, RATE, BATCH = 8, 4, 20, 2e-2, 32


class SeedChild:
    """The trained child; predicts without torch, since a chain of linear layers is one matrix after another."""

    def __init__(self, layers: list[tuple[np.ndarray, np.ndarray]]):
        self.layers = layers

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Probabilities (N, K) of encoded rows (N, D)."""
        for weight, bias in self.layers:
            x = x @ weight.T + bias
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)


def train_seed_child(x: np.ndarray, y: np.ndarray, classes: int, seed: int) -> SeedChild:
    """Train the child on encoded rows (N, D) and class numbers (N,), one thread."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    sizes = [x.shape[1], *[HIDDEN] * (LAYERS + 1), classes]
    model = torch.nn.Sequential(*[torch.nn.Linear(a, b) for a, b in pairwise(sizes)])
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    rows, targets = torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(y.astype(np.int64))
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(rows)).split(BATCH):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(rows[batch]), targets[batch]).backward()
            optimiser.step()
    return SeedChild([(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in model])
