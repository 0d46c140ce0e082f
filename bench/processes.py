"""Whole processes, measured from start to exit: wall time and peak memory; and the CPU time of this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# A process started from a large one inherits its high-water mark of memory (exec keeps the old one), so the measured process is
# started by this small one, whose own few megabytes are the least that can be measured.
LAUNCHER = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.call(sys.argv[2:])
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
with open(sys.argv[1], "w") as file:
    json.dump([seconds, peak, code], file)
"""


@dataclass(frozen=True)
class Measured:
    """A finished process: wall seconds from start to exit, peak resident memory in MB, exit code, both outputs."""

    seconds: float
    peak_mb: float
    code: int
    stdout: str
    stderr: str


def measure(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Measured:
    """Run a process to its end and measure it; `environment` is added to this process's own.

    Peak memory is the kernel's figure (`ru_maxrss`) for the process or the largest of its children, not an estimate by polling.
    """
    with tempfile.TemporaryDirectory() as name:
        result, out, err = (Path(name) / part for part in ("result", "out", "err"))
        launch = [sys.executable, "-I", "-S", "-c", LAUNCHER, str(result), *arguments]
        with out.open("wb") as stdout, err.open("wb") as stderr:  # files, so a talkative process never waits for a reader
            subprocess.run(launch, stdout=stdout, stderr=stderr, env={**os.environ, **(environment or {})}, check=False)
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in (out, err)]
        if not result.exists():
            raise OSError(f"could not start {arguments[0]}: {texts[1].strip()[-500:]}")
        seconds, peak, code = json.loads(result.read_text(encoding="utf-8"))
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes on Linux
    return Measured(seconds, peak / unit, code, *texts)


def cpu_seconds() -> float:
    """CPU seconds of this process so far, every thread counted, and of its children that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def tool() -> list[str]:
    """The command that starts modelgpt-edge: the console script beside this Python."""
    script = Path(sys.executable).parent / "modelgpt-edge"
    if not script.exists():
        raise SystemExit(f"no modelgpt-edge beside {sys.executable}: install the checkout first (pip install -e '.[bench]')")
    return [str(script)]


def build(
    data: Path,
    out: Path,
    label: str | None = "label",
    environment: Mapping[str, str] | None = None,
    more: Sequence[str] = (),
) -> tuple[Measured, dict]:
    """Run `modelgpt-edge build --target x86` as a process: its measure and its JSON; a failed build ends the bench.

    Args:
        more: further arguments.
    """
    arguments = ["--task", "predict the label", "--data", str(data), "--target", "x86", "--out", str(out), "--json", *more]
    run = measure([*tool(), "build", *arguments, *(["--label", label] if label else [])], environment)
    if run.code:
        raise SystemExit(f"modelgpt-edge build failed with exit code {run.code}:\n{run.stderr.strip()[-2000:]}")
    return run, json.loads(run.stdout)
