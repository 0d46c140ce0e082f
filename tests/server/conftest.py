"""Real servers in processes of their own, and what is sent to them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest
from safetensors.numpy import save

if TYPE_CHECKING:
    from modelgpt_edge.architecture.text.encoder import TextEncoder
    from modelgpt_edge.server.device_launch import OnDevice
    from modelgpt_edge.server.steps import Adapt, Solve

COMMAND = [sys.executable, "-m", "modelgpt_edge", "serve", "--port", "0", "--json"]


@dataclass
class Serving:
    """A running server."""

    process: subprocess.Popen[str]
    url: str

    def client(self, **options: object) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, **options)

    def workers(self) -> list[int]:
        """Process ids of its workers, multiprocessing's own helper left out."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        children = [int(child) for task in tasks for child in told(task / "children").split()]
        return [child for child in children if b"spawn_main" in told(Path(f"/proc/{child}/cmdline"))]

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Its workers stand still meanwhile: what is asked for waits, however quick or slow this machine is."""
        workers = self.workers()
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def metric(self, name: str, **labels: str) -> float:
        """The value of a metric that is there."""
        wanted = name + ("{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}" if labels else "")
        lines = httpx.get(f"{self.url}/metrics", timeout=60).text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.rpartition(" ")[0] == wanted), 0.0)

    def connect(self) -> socket.socket:
        """A bare connection."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        return socket.create_connection((host, int(port)), timeout=30)


def told(path: Path) -> bytes:
    """What /proc tells; nothing of a thread or process that has just ended."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


Start = Callable[..., "contextlib.AbstractContextManager[Serving]"]


@contextlib.contextmanager
def _serve(*options: str, within: Sequence[str] = (), **variables: str) -> Iterator[Serving]:
    environment = {**os.environ, **variables}
    process = subprocess.Popen(
        [*within, *COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield Serving(process, json.loads(line)["url"])
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
        errors = process.stderr.read()
        process.stdout.close()
        process.stderr.close()
    assert "Traceback" not in errors, errors


@pytest.fixture(scope="session")
def until() -> Callable[[Callable[[], bool]], None]:
    """Waits until something is so; two minutes are more than any machine needs."""

    def wait(true: Callable[[], bool]) -> None:
        end = time.monotonic() + 120
        while not true():
            assert time.monotonic() < end
            time.sleep(0.02)

    return wait


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """The same in an event loop, which goes on meanwhile."""

    async def wait(true: Callable[[], bool]) -> None:
        end = time.monotonic() + 120
        while not true():
            assert time.monotonic() < end
            await asyncio.sleep(0.01)

    return wait


@pytest.fixture(scope="session")
def serve() -> Start:
    """Starts a server with options, within a command that ends by becoming it, and with variables of its environment."""
    return _serve


@pytest.fixture(scope="session")
def server() -> Iterator[Serving]:
    """A server with two workers and the usual limits."""
    with _serve("--workers", "2") as serving:
        yield serving


@pytest.fixture(scope="session")
def csv(patients) -> bytes:
    """The patients as CSV."""
    lines = [",".join(patients[0]), *(",".join(map(str, row.values())) for row in patients)]
    return ("\n".join(lines) + "\n").encode()


@pytest.fixture(scope="session")
def profile() -> Callable[..., bytes]:
    """A profile of random rows of two classes, as safetensors."""

    def make(seed: int = 0, rows: int = 40, columns: int = 4, scale: float = 1.0) -> bytes:
        encoded = np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)
        targets = np.eye(2, dtype=np.float32)[(encoded[:, 0] > 0).astype(int)]
        return save({"encoded": encoded * np.float32(scale), "targets": targets})

    return make


@pytest.fixture
def one_thread() -> Iterator[None]:
    """What this process computes, it does as workers do: on one thread."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        yield


@pytest.fixture(scope="session")
def encoder() -> TextEncoder:
    """The sentence encoder as workers run it."""
    from modelgpt_edge.architecture.text.encoder import TextEncoder
    from modelgpt_edge.architecture.text.files import find_encoder

    return TextEncoder.of(find_encoder(), threads=1)


@pytest.fixture(scope="module", params=["torch-cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def on_device(request) -> Iterator[OnDevice]:
    """Two workers with a device behind them: torch's CPU, and a GPU where there is one."""
    import torch  # noqa: TID251 - the device is torch's

    from modelgpt_edge.server.device_launch import OnDevice
    from modelgpt_edge.server.launches import Pool

    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch.cuda sees no GPU")
    launch = OnDevice.of(Pool(2, 100), request.param, 100, 1 << 30)
    launch.start()
    yield launch
    launch.close()


class Narrow:
    """A device in this process that has memory for few requests at a time, and keeps of which kind and how many it got."""

    alive = 1

    def __init__(self, most: int) -> None:
        self.most = most
        self.launches: list[tuple[type, int]] = []

    @property
    def sizes(self) -> list[int]:
        return [size for _, size in self.launches]

    def submit(self, launch: Solve | Adapt) -> Future:
        import torch  # noqa: TID251 - the device is torch's

        from modelgpt_edge.server.device import solve_launch
        from modelgpt_edge.server.launches import DeviceMemoryError

        self.launches.append((type(launch), len(launch.begun)))
        future: Future = Future()
        short = len(launch.begun) > self.most
        future.set_result(DeviceMemoryError() if short else solve_launch(launch, torch.device("cpu")))
        return future


@pytest.fixture(scope="session")
def narrow() -> type[Narrow]:
    return Narrow


def _drawn(seed: int, rows: int, columns: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    encoded = np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)
    said = np.stack([np.sin(2 * encoded[:, k % columns]) + encoded[:, (k + 1) % columns] ** 2 for k in range(outputs)], axis=1)
    if outputs == 1:
        return encoded, ((said - said.mean()) / said.std()).astype(np.float32)
    return encoded, np.eye(outputs, dtype=np.float32)[(said - said.mean(0)).argmax(1)]


@pytest.fixture(scope="session")
def drawn() -> Callable[[int, int, int, int], tuple[np.ndarray, np.ndarray]]:
    """Encoded rows of a seed, and targets that are the same curved rule for all: one-hot, or values of one output."""
    return _drawn


@pytest.fixture(scope="module")
def profile_file(tmp_path_factory) -> Callable[..., Path]:
    """Writes what `drawn` gives as a profile."""

    def write(seed: int, rows: int = 60, columns: int = 4, outputs: int = 2, scale: float = 1.0) -> Path:
        path = tmp_path_factory.mktemp("profiles") / "profile.safetensors"
        encoded, targets = _drawn(seed, rows, columns, outputs)
        path.write_bytes(save({"encoded": encoded * np.float32(scale), "targets": targets}))
        return path

    return write
