"""A process that has a device to itself: it solves the heads of a whole launch at once, or adapts its encoders, in torch.

A fault of the device takes this process alone with it, and the server starts another. torch is imported inside functions, and
only where a server was told to use a device.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from modelgpt_edge.errors import InputError, TargetUnavailableError
from modelgpt_edge.server.launches import DeviceMemoryError
from modelgpt_edge.server.settings import TORCH_CPU, WORKERS
from modelgpt_edge.server.steps import Adapt, Solve, Solved
from modelgpt_edge.server.worker import DONE, ONE_THREAD, READY

if TYPE_CHECKING:
    import torch  # noqa: TID251 - types alone

    from modelgpt_edge.parameters.batched import Drawn
    from modelgpt_edge.parameters.floor import Heads

# What torch and the libraries below it say where memory is short, in errors that have no type of their own.
NO_MEMORY = ("out of memory", "can't allocate memory", "ALLOC_FAILED")


def require_device(name: str) -> None:
    """Nothing where a device can be used.

    Raises:
        InputError: there is none of such a name.
        TargetUnavailableError: what it needs is missing here.
    """
    if name == WORKERS:
        return
    if name != TORCH_CPU and not re.fullmatch(r"cuda(:\d+)?", name):
        cure = f"Give {WORKERS}, cuda, or cuda:1 for the second GPU; {TORCH_CPU} to try that path out."
        raise InputError("there is no such device", where="--device", seen=name, cure=cure)
    missing = next((m for m in ("torch", "triton") if find_spec(m) is None and (m, name) != ("triton", TORCH_CPU)), None)
    if missing is not None:
        cure = "Run: pip install 'modelgpt-edge[kernels]'."
        raise TargetUnavailableError(f"{missing} is not installed, and {name} needs it", where="--device", cure=cure)
    reason = "" if name == TORCH_CPU else _why_not(name)
    if reason:
        cure = "See what nvidia-smi says, or leave --device out: workers then emit on this machine's cores."
        raise TargetUnavailableError(f"no model can be emitted there, as {reason}", where="--device", seen=name, cure=cure)


def _why_not(name: str) -> str:
    """Why a GPU can't be used, asked by another process: a driver at odds with torch may end whoever asks."""
    command = [sys.executable, "-m", "modelgpt_edge.kernels.gpu", name]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        return (ended.stderr.strip().splitlines() or [f"asking for it ended with {ended.returncode}"])[-1]
    return ended.stdout.strip()


def solve_launches(pipe: Connection, name: str) -> None:
    """The life of the process: solves what comes through the pipe, and ends when that does.

    Args:
        name: of the device, one that `require_device` lets pass.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.environ.update(ONE_THREAD)  # before torch is first imported
    import torch  # noqa: TID251 - heads are solved in it

    torch.set_num_threads(1)
    device = torch.device("cpu" if name == TORCH_CPU else name)
    _warm(device)
    try:
        pipe.send((READY,))
        while True:
            pipe.send((DONE, solve_launch(pipe.recv(), device)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def solve_launch(launch: Solve | Adapt, device: torch.device) -> Solved | DeviceMemoryError:
    """What the device makes of all that was begun, nothing of a table that can't be solved; the error where memory is too
    short for so many.

    Raises:
        Exception: the device is of no use any more.
    """
    start = time.perf_counter()
    try:
        begun = [packed.values()[0] for packed in launch.begun]
        if isinstance(launch, Adapt):
            from modelgpt_edge.server.device_texts import adapt_batch

            return Solved(tuple(adapt_batch(begun, device)), time.perf_counter() - start)
        from modelgpt_edge.parameters.batched import Drawn

        heads = _solve([Drawn(b.ready.encoded, b.targets, b.parts) for b in begun], device)
        return Solved(tuple(heads), time.perf_counter() - start)
    except (MemoryError, RuntimeError) as error:
        if not is_short(error):
            raise
        short = DeviceMemoryError(str(error))
    # What the solve held is free by now; on a GPU, torch keeps it in pieces that may not fit the next one.
    if device.type == "cuda":
        import torch  # noqa: TID251

        torch.cuda.empty_cache()
    return short


def _solve(drawn: Sequence[Drawn], device: torch.device) -> list[tuple[Heads, ...] | None]:
    """Heads of all; where they can't be solved together, of each alone, so that a bad table spoils no other's."""
    from modelgpt_edge.parameters.batched import solve_batch
    from modelgpt_edge.parameters.units import DRAW

    try:
        return solve_batch(drawn, DRAW, device)
    except Exception as error:
        if is_short(error):
            raise
        _require_use(device)
        if len(drawn) == 1:
            return [None]
    return [heads for one in drawn for heads in _solve([one], device)]


def _require_use(device: torch.device) -> None:
    """The device's own error where it computes nothing any more: after some faults CUDA says the same to all that is asked."""
    import torch  # noqa: TID251

    torch.ones(1, device=device).sum().item()


def is_short(error: Exception) -> bool:
    """Whether memory was short, of the host or of the device."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY)


def _warm(device: torch.device) -> None:
    """Choose kernels and solve little tables, so that the first launch pays for no first call."""
    import numpy as np

    from modelgpt_edge.parameters.batched import Drawn, solve_batch
    from modelgpt_edge.parameters.quick import begin_encoded
    from modelgpt_edge.parameters.units import DRAW

    if device.type == "cuda":
        from modelgpt_edge.kernels.tune import tune_sums
        from modelgpt_edge.server.device_texts import warm_texts

        tune_sums(device)
        warm_texts(device)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(32, 4)).astype(np.float32)
    for targets in (rows[:, :1], np.eye(2, dtype=np.float32)[(rows[:, 0] > 0).astype(int)]):
        begun = begin_encoded(rows, targets, range(4), (DRAW.total,), 1, 0)
        solve_batch([Drawn(rows, targets, begun.parts)], DRAW, device)
