"""What runs inside a fresh process to measure one variant: the same opening and the same executor as `load` uses.

Only the interpreter's own modules come in at the top, so that the import of the runtime can be timed. One thread, the
monotonic clock, garbage collection as in any program. Lines of JSON go to the parent, which does everything else.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelgpt_edge.child import Floats, Ints
    from modelgpt_edge.errors import ModelgptEdgeError
    from modelgpt_edge.targets.backend import Executor

BATCH = 256
WARM_SECONDS, BATCH_SECONDS = 1.0, 0.5
FEWEST, MOST = 100, 5_000  # calls for the warm quantiles
# Times kept in each third of a sustained run: of quicker models only every k-th row is timed, and all are run.
KEPT = 300_000
THIRDS = 3

Say = Callable[[Mapping[str, Any]], None]


def main() -> None:
    """Answer the request on the command line, one JSON object."""
    began = time.monotonic_ns()
    say = _private_stdout()
    from modelgpt_edge.errors import ModelgptEdgeError
    from modelgpt_edge.runtime.model import Model  # what an app imports to load

    imported = time.monotonic_ns()
    import json

    del Model
    request = json.loads(sys.argv[1])
    try:
        if request["cold"]:
            say({"done": _cold(request, began, imported)})
        else:
            say({"done": _warm(request, say)})
    except ModelgptEdgeError as error:
        _say_error(say, error)
    except Exception as error:  # a backend's library raises what it likes, and the parent must hear of it
        from modelgpt_edge.errors import PackageError
        from modelgpt_edge.targets.backend import first_line

        cure = "Check it: modelgpt-edge verify PACKAGE."
        _say_error(say, PackageError("the variant failed to run", where=request["variant"], seen=first_line(error), cure=cure))


def _say_error(say: Say, error: ModelgptEdgeError) -> None:
    seen = None if error.seen is None else str(error.seen)
    say({"error": {"type": type(error).__name__, "what": error.what, "where": error.where, "seen": seen, "cure": error.cure}})


def bare() -> None:
    """Tell the peak memory of an interpreter that has imported numpy, and nothing else that counts."""
    import numpy

    del numpy
    _private_stdout()({"done": {"peak_bytes": peak_bytes()}})


def peak_bytes() -> int:
    """The most memory that this process had resident.

    Not ``ru_maxrss`` where Linux tells better: a new process inherits that from the one that started it.
    """
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most << 10


def _cold(request: Mapping[str, Any], began: int, imported: int) -> dict[str, Any]:
    """Milliseconds of each part of a start, and the peak memory after the first row and a batch."""
    opening = time.monotonic_ns()
    executor = _open(request)
    opened = time.monotonic_ns()
    numbers, codes = _rows(request)
    ready = time.monotonic_ns()
    executor.run(numbers[:1], codes[:1])
    done = time.monotonic_ns()
    executor.run(*_batch(numbers, codes))
    parts = {
        "start_ms": (began - request["started_ns"]) / 1e6,
        "import_ms": (imported - began) / 1e6,
        "load_ms": (opened - opening) / 1e6,
        "first_row_ms": (done - ready) / 1e6,
    }
    return {**parts, "total_ms": sum(parts.values()), "peak_bytes": peak_bytes()}


def _warm(request: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """Warm, batched and sustained figures, in this order."""
    from modelgpt_edge.targets.timing import WARM_UP, time_rows

    executor = _open(request)
    numbers, codes = _rows(request)
    say({"stage": "warm"})
    guess = quantiles(time_rows(executor, numbers, codes, WARM_UP))["p50_us"]
    calls = int(min(MOST, max(FEWEST, WARM_SECONDS * 1e6 / guess)))
    times = time_rows(executor, numbers, codes, calls)
    warm = {"calls": calls, "warm_up_calls": WARM_UP, **quantiles(times)}
    say({"stage": "batch"})
    batch = _time_batches(executor, numbers, codes)
    say({"stage": "sustained"})
    every = max(1, round(request["seconds"] * 1e6 / warm["p50_us"] / THIRDS / KEPT))
    sustained = run_sustained(executor, _single(numbers, codes), request["seconds"], every)
    say({"stage": "end"})
    return {"warm": warm, "batch": batch, "sustained": sustained}


def _open(request: Mapping[str, Any]) -> Executor:
    """The variant on this machine; never a stand-in or an emulator, which `load` would give with a warning."""
    from modelgpt_edge.runtime.choosing import named_variant
    from modelgpt_edge.runtime.executors import open_here, open_truth
    from modelgpt_edge.runtime.opening import open_package

    package = open_package(request["package"])
    variant = named_variant(package, request["variant"])
    return open_truth(package) if variant is None else open_here(package, variant)


def _rows(request: Mapping[str, Any]) -> tuple[Floats, Ints]:
    import numpy as np

    folder = request["rows"]
    return np.load(os.path.join(folder, "numbers.npy")), np.load(os.path.join(folder, "codes.npy"))


def _single(numbers: Floats, codes: Ints) -> list[tuple[Floats, Ints]]:
    return [(numbers[i : i + 1], codes[i : i + 1]) for i in range(len(numbers))]


def _batch(numbers: Floats, codes: Ints) -> tuple[Floats, Ints]:
    """256 rows: those there are, over and over."""
    import numpy as np

    places = np.arange(BATCH) % len(numbers)
    return numbers[places], codes[places]


def _time_batches(executor: Executor, numbers: Floats, codes: Ints) -> dict[str, Any]:
    batch = _batch(numbers, codes)
    for _ in range(3):
        executor.run(*batch)
    times: list[float] = []
    end = time.perf_counter() + BATCH_SECONDS
    while len(times) < 10 or (time.perf_counter() < end and len(times) < MOST):
        start = time.perf_counter()
        executor.run(*batch)
        times.append((time.perf_counter() - start) * 1e6)
    found = quantiles(times)
    return {"rows": BATCH, "calls": len(times), **found, "rows_per_s": BATCH / found["p50_us"] * 1e6}


def run_sustained(
    executor: Executor,
    rows: Sequence[tuple[Floats, Ints]],
    seconds: float,
    every: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Any]:
    """Run one row after the other without a pause, and tell the first and the last third of the time apart.

    Args:
        rows: single rows, numbers (1, C) and positions (1, S), taken in turn.
        every: of how many rows one is timed.
        clock: seconds, never going back.

    Returns:
        JSON values; ``processor_share`` is the share of the time that this process worked rather than waited, for a GPU or for
        other programs to leave it the processor.
    """
    from array import array

    turn = itertools.cycle(rows)
    thirds = []
    begun, worked = clock(), time.process_time()
    now = begun
    for third in range(1, THIRDS + 1):
        times, since, end = array("d"), now, begun + seconds * third / THIRDS
        while now < end or not times:
            for _ in range(every - 1):
                executor.run(*next(turn))
            start = clock()
            executor.run(*next(turn))
            now = clock()
            times.append((now - start) * 1e6)
        thirds.append((times, now - since))
    worked = time.process_time() - worked
    # The quantiles wait until the end: there is no pause between the thirds.
    described = [
        {**quantiles(times), "rows": every * len(times), "rows_per_s": every * len(times) / spent} for times, spent in thirds
    ]
    rows_run, spent = sum(d["rows"] for d in described), now - begun
    return {
        "seconds": spent,
        "rows": rows_run,
        "rows_per_s": rows_run / spent,
        "processor_share": round(worked / spent, 3),
        "timed_every": every,
        "first_third": described[0],
        "last_third": described[-1],
    }


def quantiles(times: Sequence[float]) -> dict[str, float]:
    """``p50_us``, ``p90_us`` and ``p99_us`` of times in microseconds."""
    import numpy as np

    return {f"p{q}_us": round(float(np.quantile(times, q / 100)), 3) for q in (50, 90, 99)}


def _private_stdout() -> Say:
    """A way to the parent that no library's chatter on stdout gets into."""
    out = os.dup(1)
    os.dup2(2, 1)

    def say(values: Mapping[str, Any]) -> None:
        import json

        os.write(out, (json.dumps(values) + "\n").encode())

    return say
