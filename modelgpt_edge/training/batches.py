"""From a shard to what the corrector takes: columns, classes and category slots in random order, half of the names dropped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch  # noqa: TID251 - what is trained is a torch model
from torch import Tensor  # noqa: TID251
from torch.nn import functional  # noqa: TID251

from modelgpt_edge.parameters.cells import FIRST_CATEGORY, NAMED, SLOTS
from modelgpt_edge.training.corrector import ABSENT, Corrector, known_classes
from modelgpt_edge.training.priors.sizes import CLASSES
from modelgpt_edge.training.shards import Shard

# Share of the tables whose named columns are shown.
NAMING = 0.5


@dataclass(frozen=True)
class Batch:
    """What `Corrector.forward` takes: cells (B, N, C, S), one-hot labels and floor's logits (B, N, K), n context rows."""

    cells: Tensor
    labels: Tensor
    scores: Tensor
    context: int

    @staticmethod
    def of(shard: Shard, device: torch.device, rng: np.random.Generator | None = None) -> Batch:
        """The tables of a shard on a device; in random orders where `rng` is given.

        No order means anything: columns, classes and categories are names. The columns of all tables change places together,
        for the tables of a shard have nothing in common.
        """
        cells = torch.from_numpy(shard.cells()).to(device)
        labels = functional.one_hot(torch.from_numpy(shard.labels).long(), CLASSES).float().to(device)
        scores = torch.from_numpy(shard.scores).float().to(device)
        if rng is not None:
            cells = cells[:, :, torch.from_numpy(rng.permutation(cells.shape[2])).to(device)]
            slots = _orders(rng, len(cells), SLOTS - FIRST_CATEGORY) + FIRST_CATEGORY
            slots = torch.cat([torch.arange(FIRST_CATEGORY).expand(len(cells), -1), slots], dim=1)
            cells = cells.take_along_dim(slots[:, None, None].to(device), dim=3)
            # Half of the tables come without a requirement, so that the generator can do without one.
            cells[..., NAMED] *= torch.from_numpy(rng.random((len(cells), 1, 1)) < NAMING).to(device)
            classes = _orders(rng, len(cells), CLASSES)[:, None].to(device)
            labels, scores = labels.take_along_dim(classes, dim=2), scores.take_along_dim(classes, dim=2)
        return Batch(cells, labels, scores, shard.context)

    def parts(self, tables: int) -> Iterator[Batch]:
        """The same tables, a few at a time: what a step keeps in memory is in proportion."""
        for first in range(0, len(self.cells), tables):
            some = slice(first, first + tables)
            yield Batch(self.cells[some], self.labels[some], self.scores[some], self.context)


def losses(model: Corrector, batch: Batch) -> tuple[Tensor, Tensor]:
    """Mean log loss of the query rows, of the corrected floor and of the floor alone."""
    correction = model(batch.cells, batch.labels, batch.scores, batch.context).float()
    truth = batch.labels[:, batch.context :]
    floor = batch.scores[:, batch.context :].masked_fill(~known_classes(batch.labels, batch.context), ABSENT)
    return _log_loss(floor + correction, truth), _log_loss(floor, truth)


def _log_loss(logits: Tensor, truth: Tensor) -> Tensor:
    return -(truth * logits.log_softmax(-1)).sum(-1).mean()


def _orders(rng: np.random.Generator, tables: int, count: int) -> Tensor:
    """A random order of `count` things for each table, (tables, count)."""
    return torch.from_numpy(rng.permuted(np.tile(np.arange(count), (tables, 1)), axis=1))
