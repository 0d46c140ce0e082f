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
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from safetensors.numpy import save

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
