"""Models a second, end to end: a server's launches with a GPU behind them, tables drawn by worker processes on all cores.

It is what `serve` does without HTTP: each table is a file, and each answer a child as safetensors.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelgpt_edge.errors import GateError
from modelgpt_edge.kernels import shapes

if TYPE_CHECKING:
    from modelgpt_edge.server.device_launch import OnDevice
    from modelgpt_edge.server.jobs import ProfileJob

# Of one launch, and launches under way: one that is begun, one that is solved, one that is finished.
BATCH, LANES = 64, 3
# Seconds of each measurement after a second to warm up, and the longest that a launch may take.
SECONDS, WARM, LIMIT = 6.0, 1.0, 60.0
TABLE = shapes.TABLES[0]
# Hidden units asked for: about as many as the table's, which are distilled from a draw of 640, and that draw itself.
DISTILLED, DRAWN = 260, 640


@dataclass(frozen=True)
class Served:
    """Models of one size.

    Attributes:
        units: hidden units.
        models: made in so many `seconds`, `batch` a launch.
        processes: workers.
    """

    units: int
    models: int
    seconds: float
    batch: int
    processes: int

    @property
    def rate(self) -> float:
        """Models a second."""
        return self.models / self.seconds

    @property
    def words(self) -> str:
        """What is asked for, for people."""
        return request(self.units)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "request": self.words, "models_per_second": self.rate}


def request(units: int) -> str:
    """A request, for people."""
    how = "distilled" if units == DISTILLED else "as drawn"
    return f"{TABLE.rows} rows x {TABLE.columns} columns, {units} units {how}"


def measure_models(
    device: str = "cuda", processes: int | None = None, batch: int = BATCH, seconds: float = SECONDS
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
    from modelgpt_edge.server.device_launch import OnDevice
    from modelgpt_edge.server.launches import Pool

    launches = OnDevice.of(Pool(processes, LIMIT), device, LIMIT, lambda: None)
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
    from safetensors.numpy import save_file

    from modelgpt_edge.server.jobs import ProfileJob

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
    """Models made by `LANES` launches at a time, none of which is begun after the end."""
    from modelgpt_edge.server.jobs import Done, Result
    from modelgpt_edge.server.launches import TooLongError, WorkerDiedError

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

    with ThreadPoolExecutor(LANES) as pool:
        return sum(pool.map(lane, range(LANES)))


def _failed(seen: str) -> GateError:
    return GateError("a model wasn't made", where="models", seen=seen, cure="Run the tests in tests/server, and mend it.")
