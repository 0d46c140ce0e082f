"""Models a second of a server's launches with a GPU behind them, tables drawn by worker processes on all cores.

It is what `serve` does without HTTP: each table is a file, and each answer a child as safetensors. `modelgpt-edge bench
kernels` hands it to the kernels' bench, which knows no server.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from modelgpt_edge.errors import GateError
from modelgpt_edge.kernels.bench.models import DISTILLED, DRAWN, TABLE, Served
from modelgpt_edge.server.device_launch import OnDevice
from modelgpt_edge.server.jobs import Done, ProfileJob, Result
from modelgpt_edge.server.launches import Pool, TooLongError, WorkerDiedError
from modelgpt_edge.server.memory import fair_share
from modelgpt_edge.server.settings import DEVICE_BATCH, DEVICE_LANES

# Seconds of each measurement after a second to warm up, and the longest that a launch may take.
SECONDS, WARM, LIMIT = 6.0, 1.0, 60.0


def measure_models(
    device: str = "cuda", processes: int | None = None, batch: int = DEVICE_BATCH, seconds: float = SECONDS
) -> list[Served]:
    """Models a second of each size, by as many worker processes as there are cores where not given.

    Raises:
        GateError: processes don't come up, or a model isn't made.
    """
    count = processes or os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder, _launches(device, count) as launches:
        return [
            Served(units, *_measure(launches, _jobs(Path(folder), units, batch), seconds), batch, count)
            for units in (DISTILLED, DRAWN)
        ]


@contextmanager
def _launches(device: str, processes: int) -> Iterator[OnDevice]:
    """A server's workers and its device's process."""
    launches = OnDevice.of(Pool(processes, LIMIT), device, LIMIT, fair_share(processes))
    launches.start()
    try:
        if launches.alive < processes:
            cure = "Run: modelgpt-edge serve --device cuda, and see what its processes say."
            raise GateError("processes of the server didn't come up", where=device, seen=launches.alive, cure=cure)
        yield launches
    finally:
        launches.close()


def _jobs(folder: Path, units: int, count: int) -> list[ProfileJob]:
    """Tables of one size, each another one, as files."""
    jobs = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        encoded = rng.normal(size=(TABLE.rows, TABLE.columns)).astype(np.float32)
        said = encoded @ rng.normal(size=(TABLE.columns, TABLE.outputs)) + np.sin(3 * encoded[:, :1])
        targets = np.eye(TABLE.outputs, dtype=np.float32)[(said + rng.gumbel(size=said.shape)).argmax(1)]
        save_file({"encoded": encoded, "targets": targets}, folder / f"{seed}.safetensors")
        jobs.append(ProfileJob(folder / f"{seed}.safetensors", units, seed=seed))
    return jobs


def _measure(launches: OnDevice, jobs: Sequence[ProfileJob], seconds: float) -> tuple[int, float]:
    """Models, and the seconds that they took; the last launches count to their end."""
    _launch_until(launches, jobs, time.perf_counter() + WARM)
    start = time.perf_counter()
    models = _launch_until(launches, jobs, start + seconds)
    return models, time.perf_counter() - start


def _launch_until(launches: OnDevice, jobs: Sequence[ProfileJob], end: float) -> int:
    """Models made by `DEVICE_LANES` launches at a time, none of which is begun after the end."""

    def made(future: Future[Result]) -> None:
        try:
            result = future.result()
        except (MemoryError, TooLongError, WorkerDiedError) as error:
            raise _failed(type(error).__name__) from error
        if not isinstance(result, Done):
            raise _failed(result.error["error"])

    def lane(_: int) -> int:
        count = 0
        while time.perf_counter() < end:
            for future in launches.launch(jobs):
                made(future)
                count += 1
        return count

    with ThreadPoolExecutor(DEVICE_LANES) as pool:
        return sum(pool.map(lane, range(DEVICE_LANES)))


def _failed(seen: str) -> GateError:
    return GateError("a model wasn't made", where="models", seen=seen, cure="Run the tests in tests/server, and mend it.")
