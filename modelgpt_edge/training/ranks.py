"""The processes that train together: one alone, or several started by torchrun, which sets WORLD_SIZE.

Every process has the same parameters and its own tables; gradients are averaged, so that all take the same step.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch  # noqa: TID251 - what is trained is a torch model
from torch import Tensor, distributed  # noqa: TID251


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    def any(self, mine: bool) -> bool:
        """Whether the answer is yes in any process; all must ask."""
        if self.world == 1:
            return mine
        votes = torch.tensor([float(mine)], device=self.device)
        distributed.all_reduce(votes, distributed.ReduceOp.MAX)
        return bool(votes.item())

    def all(self, mine: bool) -> bool:
        """Whether the answer is yes in all processes; all must ask."""
        return not self.any(not mine)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their means over all processes, in one exchange."""
        if self.world == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        flat /= self.world
        for tensor, mean in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors])):
            tensor.copy_(mean.view_as(tensor))


@contextmanager
def join_ranks() -> Iterator[Ranks]:
    """Join the others that torchrun started, if it did; one GPU a process where there are any."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if world == 1:
        yield Ranks(0, 1, device)
        return
    distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Ranks(distributed.get_rank(), world, device)
    finally:
        distributed.destroy_process_group()
