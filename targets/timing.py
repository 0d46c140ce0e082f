"""Time one row in a warm process, as an app would call it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

import numpy as np

from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.targets.backend import Executor

CALLS, WARM_UP, DIFFERENT = 200, 20, 50
# A model of milliseconds a row isn't run hundreds of times: timing ends after so many seconds, but not before so many calls.
SECONDS, LEAST = 0.5, 30


def time_rows(executor: Executor, numbers: Floats, codes: Ints, calls: int = CALLS, seconds: float = math.inf) -> list[float]:
    """Microseconds of each of `calls` single rows, after a warm-up; up to 50 different rows in turn, one thread.

    Args:
        seconds: after which 30 calls are enough.
    """
    count = max(1, min(DIFFERENT, max(len(numbers), len(codes))))
    rows = [(numbers[i : i + 1], codes[i : i + 1]) for i in range(count)]
    times: list[float] = []
    spent = 0.0
    for i in range(WARM_UP + calls):
        start = time.perf_counter()
        executor.run(*rows[i % count])
        times.append((time.perf_counter() - start) * 1e6)
        spent += times[-1]
        if len(times) >= min(calls, LEAST) + WARM_UP and spent > 1e6 * seconds:
            break
    return times[WARM_UP:]


def latency(executor: Executor, numbers: Floats, codes: Ints, calls: int = CALLS) -> Mapping[str, float]:
    """Quantiles of one row's time in microseconds: ``p50_us``, ``p90_us``, ``p99_us``."""
    times = time_rows(executor, numbers, codes, calls, SECONDS)
    return {f"p{q}_us": float(np.quantile(times, q / 100)) for q in (50, 90, 99)}
