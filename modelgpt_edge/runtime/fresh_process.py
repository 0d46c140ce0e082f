"""The parent's end of a measurement: start a fresh process, hear it out, look at the sensors while it runs, end it with us."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

from modelgpt_edge import errors
from modelgpt_edge.errors import ModelgptEdgeError, PackageError

# numpy, and libraries that start a pool of their own, keep to one thread: what a small model is measured by.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TVM_NUM_THREADS", "BLIS_NUM_THREADS")
TICK = 0.2
CODE = "from modelgpt_edge.runtime.measuring import {door}; {door}()"


def measure(
    door: str,
    request: Mapping[str, Any],
    folder: str,
    stage: Callable[[str], None] = lambda name: None,
    tick: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Run a door of `measuring`, ``main`` or ``bare``, in a fresh process, and return what it measured.

    Args:
        folder: an empty one or the rows' own, to run in, so that nothing that lies about is imported.
        stage: told each stage as it begins.
        tick: called five times a second while the process works.

    Raises:
        ModelgptEdgeError: the one that was raised inside; PackageError where the process crashed.
    """
    command = [sys.executable, "-c", CODE.format(door=door), json.dumps({**request, "started_ns": time.monotonic_ns()})]
    with tempfile.TemporaryFile() as words:
        # A session of its own: Ctrl-C reaches the parent alone, which ends it.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=words,
            cwd=folder,
            env=_environment(),
            start_new_session=True,
        )
        try:
            for line in _lines(process, tick):
                if "done" in line:
                    return dict(line["done"])
                if "error" in line:
                    raise _told(line["error"])
                stage(line["stage"])
            process.wait()
            words.seek(0)
            raise _crashed(process.returncode, words.read().decode(errors="replace"))
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _lines(process: subprocess.Popen[bytes], tick: Callable[[], None] | None) -> Any:
    """The lines that a process writes, as JSON, until it ends; ticks in between."""
    assert process.stdout is not None
    pipe, rest = process.stdout.fileno(), b""
    while True:
        if not select.select([pipe], [], [], TICK if tick else None)[0]:
            if tick:
                tick()
            continue
        part = os.read(pipe, 1 << 16)
        if not part:
            return
        *lines, rest = (rest + part).split(b"\n")
        yield from map(json.loads, lines)


def _environment() -> dict[str, str]:
    environment = {**os.environ, **dict.fromkeys(THREADS, "1"), "PYTHONSAFEPATH": "1"}
    if path := os.environ.get("PYTHONPATH"):  # the process runs in another folder
        environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(part) for part in path.split(os.pathsep))
    return environment


def _told(about: Mapping[str, Any]) -> ModelgptEdgeError:
    kind: type[ModelgptEdgeError] = getattr(errors, about["type"], ModelgptEdgeError)
    return kind(about["what"], where=about["where"], seen=about["seen"], cure=about["cure"])


def _crashed(code: int, words: str) -> PackageError:
    ended = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    last = words.strip().splitlines()[-1:] or [""]
    return PackageError(
        f"the measuring process ended {ended}",
        where="profile",
        seen=last[0] or None,
        cure="Check it: modelgpt-edge verify PACKAGE.",
    )
