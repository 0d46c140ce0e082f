"""Time one row in a warm process, as an app would call it."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Mapping

import numpy as np

from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.targets.backend import Executor

CALLS, WARM_UP, DIFFERENT = 200, 20, 50
# A model of milliseconds a row isn't run hundreds of times: timing ends after so many seconds, but not before so many calls.
SECONDS, LEAST, LEAST_WARM_UP = 0.2, 15, 3


def time_rows(executor: Executor, numbers: Floats, codes: Ints, calls: int = CALLS, seconds: float = math.inf) -> list[float]:
    """Microseconds of each of `calls` single rows, after a warm-up; up to 50 different rows in turn, one thread.

    Args:
        seconds: after which `LEAST` calls, or in the warm-up `LEAST_WARM_UP`, are enough.
    """
    count = max(1, min(DIFFERENT, max(len(numbers), len(codes))))
    rows = [(numbers[i : i + 1], codes[i : i + 1]) for i in range(count)]
    turns = itertools.cycle(rows)
    _time(executor, turns, WARM_UP, LEAST_WARM_UP, seconds / 3)
    return _time(executor, turns, calls, LEAST, seconds)


def _time(executor: Executor, rows: Iterator[tuple[Floats, Ints]], calls: int, least: int, seconds: float) -> list[float]:
    """Microseconds of each of so many calls, at least `least` of them once they took so many seconds."""
    times: list[float] = []
    spent = 0.0
    for numbers, codes in itertools.islice(rows, calls):
        start = time.perf_counter()
        executor.run(numbers, codes)
        times.append((time.perf_counter() - start) * 1e6)
        spent += times[-1]
        if len(times) >= least and spent > 1e6 * seconds:
            break
    return times


def latency(executor: Executor, numbers: Floats, codes: Ints, calls: int = CALLS) -> Mapping[str, float]:
    """Quantiles of one row's time in microseconds: ``p50_us``, ``p90_us``, ``p99_us``."""
    times = time_rows(executor, numbers, codes, calls, SECONDS)
    return {f"p{q}_us": float(np.quantile(times, q / 100)) for q in (50, 90, 99)}
