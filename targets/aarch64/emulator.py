"""qemu's user mode as an emulator of 64-bit ARM boards: a program, the runtime's Python, or a variant of a package.

The runtime's own code runs there, on the same wheels that a board installs.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelgpt_edge.errors import TargetUnavailableError, nearest
from modelgpt_edge.targets.aarch64.conversation import EmulatedExecutor, describe_end, open_variant
from modelgpt_edge.targets.aarch64.processors import DEFAULT, PROCESSORS
from modelgpt_edge.targets.aarch64.root import PYTHON, SET_UP, is_set_up, processor_root, root_folder
from modelgpt_edge.targets.aarch64.sources import source_tree
from modelgpt_edge.targets.backend import Availability, Check, Files, first_line
from modelgpt_edge.targets.target import Target

NAMES = ("qemu-aarch64-static", "qemu-aarch64")
INSTALL = "sudo apt install qemu-user-static"
SECONDS = 600


class QemuAarch64:
    """Opens variants for 64-bit ARM Linux in an emulated process."""

    name = "qemu-aarch64"

    def probe(self) -> Availability:
        """Look for qemu and the userland, and run the userland's Python on each processor. Fetches nothing."""
        qemu = find_qemu()
        steps = [step for step, needed in ((INSTALL, qemu is None), (SET_UP, not is_set_up())) if needed]
        if qemu is None:
            return Availability(False, "", "qemu's user mode for ARM is not installed", " && ".join(steps))
        version = _version(qemu)
        if steps:
            return Availability(False, version, "qemu is here, but no arm64 userland is set up for it", steps[0])
        checks = tuple(_try(cpu) for cpu in PROCESSORS)
        failed = next((c for c in checks if not c.passed), None)
        if failed:
            cure = f"rm -r {root_folder()} && {SET_UP}"
            return Availability(
                False, version, f"the arm64 userland doesn't run on {failed.name}: {failed.detail}", cure, checks
            )
        return Availability(True, version, f"an emulated Python ran on {' and '.join(PROCESSORS)}", "", checks)

    def open(self, backend: str, files: Files, target: Target) -> EmulatedExecutor:
        """Open a variant as the target's processor would; the processor is the target's fact ``cpu``.

        Raises:
            TargetUnavailableError: qemu or the userland isn't here, or the emulated process crashed.
            PackageError: a file is damaged.
        """
        cpu = target.facts.get("cpu", DEFAULT)
        qemu = _qemu(cpu)
        environment = {**_environment(), "PYTHONPATH": _python_path(source_tree(root_folder() / "sources"))}
        command = [*qemu, *_python(), "-m", "modelgpt_edge.targets.aarch64.inside"]
        return open_variant(command, environment, f"{self.name} {cpu}", backend, files, target)


def run_python(cpu: str, arguments: Sequence[str], path: Sequence[Path] = ()) -> subprocess.CompletedProcess[str]:
    """Run the userland's Python, which has the wheels of a bare install and tvm_ffi, and not modelgpt-edge itself.

    Args:
        cpu: a name of `PROCESSORS`.
        path: further folders to import from.

    Raises:
        TargetUnavailableError: qemu or the userland isn't here, or it hung.
    """
    return _run([*_qemu(cpu), *_python(), *arguments], {**_environment(), "PYTHONPATH": _python_path(*path)})


def run_program(
    cpu: str, command: Sequence[str], environment: Mapping[str, str] | None = None, given: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program that was compiled for aarch64-linux-gnu; ONNX Runtime's library is among the userland's.

    Args:
        cpu: a name of `PROCESSORS`.
        command: the program and its arguments; files are this machine's.
        environment: variables beside those of every emulated process.
        given: what it reads on its standard input.

    Raises:
        TargetUnavailableError: qemu or the userland isn't here, or it hung.
    """
    return _run([*_qemu(cpu), *command], {**_environment(), **(environment or {})}, given)


def find_qemu() -> str | None:
    """Path of qemu's user mode for 64-bit ARM; None where it isn't installed."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def _qemu(cpu: str) -> list[str]:
    if cpu not in PROCESSORS:
        cure = nearest(cpu, PROCESSORS)
        raise TargetUnavailableError("no such processor is emulated", where="qemu-aarch64", seen=cpu, cure=cure)
    qemu = find_qemu()
    if qemu is None:
        raise TargetUnavailableError("qemu's user mode for ARM is not installed", where="qemu-aarch64", cure=f"Run: {INSTALL}")
    if not is_set_up():
        raise TargetUnavailableError("there is no arm64 userland here", where="qemu-aarch64", cure=f"Run: {SET_UP}")
    return [qemu, "-cpu", cpu, "-L", str(processor_root(cpu))]


def _python() -> list[str]:
    return [str(root_folder() / "base" / "usr" / "bin" / PYTHON)]


def _python_path(*folders: Path) -> str:
    return ":".join(map(str, (*folders, root_folder() / "site")))


def _environment() -> dict[str, str]:
    """A board's environment: nothing of this machine's, one thread, and compiled Python kept beside the userland."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TVM_NUM_THREADS"), "1")
    return {
        "PATH": "/usr/bin:/bin",
        "LD_LIBRARY_PATH": "/usr/lib/aarch64-linux-gnu",
        "PYTHONUTF8": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONSAFEPATH": "1",  # the folder it is started in may hold a half of the sources
        "PYTHONPYCACHEPREFIX": str(root_folder() / "compiled"),
        "ORT_DISABLE_TELEMETRY": "1",
        **threads,
    }


def _run(command: list[str], environment: dict[str, str], given: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            env=environment,
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        what = f"no end in {SECONDS} seconds"
        raise TargetUnavailableError(what, where="qemu-aarch64", seen=command[5:], cure="Give it fewer rows.") from error
    except OSError as error:
        raise TargetUnavailableError(
            f"{command[0]} can't be run: {error}", where="qemu-aarch64", cure=f"Run: {INSTALL}"
        ) from error


def _try(cpu: str) -> Check:
    try:
        _greet(cpu, root_folder())
    except TargetUnavailableError as error:
        return Check(cpu, False, error.what)
    return Check(cpu, True, f"ran {PYTHON} as a {PROCESSORS[cpu].title}")


@functools.cache
def _greet(cpu: str, userland: Path) -> None:
    """Run a line of Python; once a process where it works, for it takes half a second and every variant asks."""
    ran = run_python(cpu, ["-c", "import platform; print(platform.machine(), 6 * 7)"])
    if ran.returncode or ran.stdout.split() != ["aarch64", "42"]:
        raise TargetUnavailableError(first_line(RuntimeError(ran.stderr or describe_end(ran.returncode))), where=str(userland))


@functools.cache
def _version(qemu: str) -> str:
    try:
        ran = subprocess.run([qemu, "--version"], capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.SubprocessError):
        return ""
    words = ran.stdout.partition("\n")[0].split()
    return words[2] if len(words) > 2 else ""
