"""Which shard a step learns from: the next that no step has met while there are any, else one that was met before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from modelgpt_edge.training.ahead import Ahead
from modelgpt_edge.training.ranks import Ranks
from modelgpt_edge.training.shards import DamagedShardError, Recipe, Shard, read_shard, shard_path

# Shards that were met are kept to be met again while new ones are being drawn; older ones are deleted.
KEPT = 1_000


class Supply:
    """The shards of a training for one of its processes.

    Attributes:
        next: the first shard that no step has met.
    """

    def __init__(self, folder: Path, recipe: Recipe, ranks: Ranks, first: int, note: Callable[[str], None]) -> None:
        self.folder, self.recipe, self.ranks, self.next = folder, recipe, ranks, first
        self._note = note
        self._damaged: set[int] = set()

    def keep(self, ahead: Ahead, shards: int) -> None:
        """Have some shards drawn ahead of the next; raises what went wrong in drawing."""
        ahead.check()
        ahead.want(self.next, self.next + max(shards, self.ranks.world))

    def fresh(self) -> Shard | None:
        """The next shard for this process, where every process has one; all must ask. Damaged ones are passed over with a note.

        Call `met` when it was learnt from.
        """
        while self.ranks.all(shard_path(self.folder, self.next + self.ranks.rank).exists()):
            shard = self._read(self.next + self.ranks.rank)
            if self.ranks.all(shard is not None):
                return shard
            self.met()
        return None

    def again(self, rng: np.random.Generator) -> Shard | None:
        """One of the shards that were met already; None where there is none yet."""
        numbers = [n for n in range(max(0, self.next - KEPT), self.next) if n not in self._damaged]
        while numbers:
            shard = self._read(numbers.pop(int(rng.integers(len(numbers)))))
            if shard is not None:
                return shard
        return None

    def met(self) -> None:
        """The next shards of all processes were met: go past them, and delete the oldest."""
        self.next += self.ranks.world
        if self.ranks.first:
            for number in range(max(0, self.next - KEPT - self.ranks.world), self.next - KEPT):
                shard_path(self.folder, number).unlink(missing_ok=True)

    def _read(self, number: int) -> Shard | None:
        try:
            return read_shard(self.folder, self.recipe, number)
        except DamagedShardError as error:
            self._damaged.add(number)
            self._note(str(error))
            return None
