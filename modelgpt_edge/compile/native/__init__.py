"""The tabular template in C, compiled once a machine, and the tables of a child laid out for it."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from modelgpt_edge.targets.native import compile_library

SOURCE = Path(__file__).with_name("tabular.c")


def start_library() -> Future[bytes]:
    """Begin to compile the template, or to read it from the cache, beside the generation.

    The future raises TargetUnavailableError where there is no working compiler.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="native")
    future = pool.submit(compile_library, SOURCE)
    pool.shutdown(wait=False)
    return future
