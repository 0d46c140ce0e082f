"""Background processes that draw shards ahead of training, at low priority, each with one thread."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context, parent_process
from pathlib import Path
from types import TracebackType

from modelgpt_edge.errors import InputError
from modelgpt_edge.training.shards import Recipe, shard_path, write_shard

# Politeness towards the training that shares the cores.
NICE = 10


class Ahead:
    """Draws shards into a folder, in the order of their numbers; a context manager that leaves no process behind."""

    def __init__(self, folder: Path, recipe: Recipe, workers: int) -> None:
        self.folder, self.recipe = folder, recipe
        self._wanted = 0
        self._running: dict[Future[None], int] = {}
        self._pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin)

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # What is being drawn is finished, a second or so: it is kept for the next leg.
        self._pool.shutdown(wait=True, cancel_futures=True)

    def want(self, first: int, end: int) -> None:
        """Have shards `first` to `end` - 1 drawn, those that aren't there yet; returns at once."""
        for number in range(max(first, self._wanted), end):
            if not shard_path(self.folder, number).exists():
                self._running[self._pool.submit(write_shard, self.folder, self.recipe, number)] = number
        self._wanted = max(self._wanted, end)

    def check(self) -> None:
        """Raise what went wrong in the background, if anything did.

        Raises:
            InputError: a shard can't be written (a full disk, a folder without permission), or a process was killed.
        """
        for future in [f for f in self._running if f.done()]:
            number = self._running.pop(future)
            try:
                future.result()
            except OSError as error:
                where = str(shard_path(self.folder, number))
                cure = "Free some space or give a place that you can write to, and run the same command again."
                raise InputError(
                    "a shard can't be written", where=where, seen=error.strerror or str(error), cure=cure
                ) from error
            except BrokenExecutor as error:
                cure = "Free some memory or draw smaller tables, and run the same command again."
                raise InputError("a process that draws tables was killed", where=str(self.folder), cure=cure) from error

    def finish(self, tell: Callable[[int], None], stopped: Callable[[], bool]) -> None:
        """Wait for all that is wanted, or until `stopped`; `tell` gets the number of shards that are left."""
        while self._running and not stopped():
            wait(self._running, timeout=0.5, return_when=FIRST_COMPLETED)
            self.check()
            tell(len(self._running))


def _begin() -> None:
    """Set up a drawing process: low priority, one thread, deaf to Ctrl-C, and gone when its parent is."""
    from threadpoolctl import threadpool_limits

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICE)
    threadpool_limits(1)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
