"""How long and with how much memory: runs until a budget is used, quantiles of them, and a GPU's stopwatch.

Three times are taken. *Wall* is the host's, from the call to the last kernel's end: what a server waits. *Span* is the GPU's:
what passes between events around the call, with work queued before so that the GPU never waits for the host; copies of tables
and fillings of buffers count. *Kernel* is of our Triton kernel alone: what passes between events around its launch. The
second-level cache is overwritten before each run.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch  # noqa: TID251 - operands are torch tensors
import triton

from modelgpt_edge.errors import TargetUnavailableError

Clock = Callable[[], float]
LEAST, MOST = 3, 200
# More than any second-level cache: 126 MB on a B200.
FLUSH_BYTES = 256 << 20
# Overwritings at the most that are queued before a call; a queue takes about a thousand launches.
MOST_AHEAD = 50


@dataclass(frozen=True)
class Spread:
    """Seconds of repeated runs: 10 %, 50 % and 90 % quantiles."""

    low: float
    median: float
    high: float
    runs: int


@dataclass(frozen=True)
class Memory:
    """Bytes that a call takes at the most above its operands, its result included, and what its result takes."""

    peak: int
    result: int

    @property
    def extra(self) -> int:
        """Beyond operands and result."""
        return max(0, self.peak - self.result)


class Stopwatch(Protocol):
    """Times one call on a device, in seconds."""

    def wall(self, call: Callable[[], Any]) -> float:
        """From the call to the end of the last kernel."""
        ...

    def kernel(self, call: Callable[[], Any]) -> float:
        """Of the Triton kernels that the call launches."""
        ...

    def span(self, call: Callable[[], Any], wall: float) -> float:
        """From the first kernel or copy to the last of a call that takes so long on the wall."""
        ...

    def memory(self, call: Callable[[], Any]) -> Memory:
        """Of one call."""
        ...


def spread(seconds: Sequence[float]) -> Spread:
    """Quantiles of at least one time."""
    low, median, high = np.quantile(seconds, (0.1, 0.5, 0.9)).tolist()
    return Spread(low, median, high, len(seconds))


def repeat(once: Callable[[], float], budget: float, clock: Clock = time.perf_counter) -> Spread:
    """Time a run again and again until the budget of seconds is used, 3 to 200 times, after one that isn't counted."""
    once()
    began, seconds = clock(), list[float]()
    while len(seconds) < LEAST or (len(seconds) < MOST and clock() - began < budget):
        seconds.append(once())
    return spread(seconds)


class Gpu:
    """The stopwatch of a CUDA device."""

    def __init__(self, place: torch.device) -> None:
        self._place = place
        self._flush = torch.empty(FLUSH_BYTES, dtype=torch.int8, device=place)
        self._overwrite = repeat(lambda: self._between(self._flush.zero_, 1), 0.05).median

    def wall(self, call: Callable[[], Any]) -> float:
        """See `Stopwatch`."""
        self._flush.zero_()
        torch.cuda.synchronize(self._place)
        began = time.perf_counter()
        held = call()
        torch.cuda.synchronize(self._place)
        taken = time.perf_counter() - began
        del held
        return taken

    def kernel(self, call: Callable[[], Any]) -> float:
        """See `Stopwatch`."""
        begins, ends = list[torch.cuda.Event](), list[torch.cuda.Event]()

        def enter(metadata: object) -> None:
            # Keeps the GPU busy until the kernel is queued behind it.
            self._flush.zero_()
            begins.append(_mark())

        def leave(metadata: object) -> None:
            ends.append(_mark())

        hooks = triton.knobs.runtime
        hooks.launch_enter_hook.add(enter)
        hooks.launch_exit_hook.add(leave)
        try:
            held = call()
        finally:
            hooks.launch_enter_hook.remove(enter)
            hooks.launch_exit_hook.remove(leave)
        torch.cuda.synchronize(self._place)
        del held
        if not begins:
            cure = "Install a Triton from 3.6 on."
            raise TargetUnavailableError("the launch hooks saw no kernel", where=f"Triton {triton.__version__}", cure=cure)
        return sum(_seconds(a, b) for a, b in zip(begins, ends))

    def span(self, call: Callable[[], Any], wall: float) -> float:
        """See `Stopwatch`."""
        return self._between(call, min(MOST_AHEAD, 1 + int(wall / self._overwrite)))

    def memory(self, call: Callable[[], Any]) -> Memory:
        """See `Stopwatch`."""
        gc.collect()
        torch.cuda.synchronize(self._place)
        torch.cuda.reset_peak_memory_stats(self._place)
        before = torch.cuda.memory_allocated(self._place)
        held = call()
        torch.cuda.synchronize(self._place)
        peak, after = torch.cuda.max_memory_allocated(self._place), torch.cuda.memory_allocated(self._place)
        del held
        return Memory(peak - before, after - before)

    def _between(self, call: Callable[[], Any], ahead: int) -> float:
        for _ in range(ahead):
            self._flush.zero_()
        began = _mark()
        held = call()
        ended = _mark()
        torch.cuda.synchronize(self._place)
        del held
        return _seconds(began, ended)


def _mark() -> torch.cuda.Event:
    event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch gives it no types
    event.record()
    return event


def _seconds(began: torch.cuda.Event, ended: torch.cuda.Event) -> float:
    return began.elapsed_time(ended) / 1000
