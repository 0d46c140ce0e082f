"""A worker process: takes jobs from a pipe, does one after the other, and answers. It ends when the pipe does."""

from __future__ import annotations

import os
import signal
import warnings
from multiprocessing.connection import Connection
from typing import Any

READY, TOLD, DONE, NO_MEMORY = "ready", "told", "done", "no memory"
# Arrow's own allocator takes a gigabyte before anything needs it, which would count against the limit.
PLAIN = {"ARROW_DEFAULT_MEMORY_POOL": "system"}
# A core is a worker's: more threads would only take turns on it.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def work(pipe: Connection, warm_up: bool, pinned: bool, memory: int) -> None:
    """The life of a worker.

    Args:
        pinned: whether numpy may use one thread alone.
        memory: bytes that it may take beyond what it holds before its first job.
    """
    # Ctrl-C and a service manager's SIGTERM reach the whole group; the server decides when its workers end.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # Before numpy is first imported, here and nowhere else.
    os.environ.update(PLAIN | (ONE_THREAD if pinned else {}))
    # What overflows is found in the weights, and told to whoever asked for them.
    warnings.filterwarnings("ignore", category=RuntimeWarning)
    from modelgpt_edge.server.emission import do, warm
    from modelgpt_edge.server.memory import limit_memory

    if warm_up:
        warm()
    limit_memory(memory)
    try:
        pipe.send((READY,))
        while True:
            job = pipe.recv()
            pipe.send(_answer(pipe, job, do))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _answer(pipe: Connection, job: Any, do: Any) -> tuple[Any, ...]:
    try:
        return DONE, do(job, lambda stage, share: pipe.send((TOLD, stage, share)))
    except MemoryError:
        return (NO_MEMORY,)
