"""Open a compiled form the nearest way to its device: on it, in its emulator, or by something that computes the same here."""

from __future__ import annotations

from dataclasses import dataclass

from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.targets.backend import Emulator, Executor, Files
from modelgpt_edge.targets.backends import BACKENDS, EMULATORS
from modelgpt_edge.targets.target import BUILT_NOT_RUN, RUNS_EMULATED, RUNS_HERE, Target


@dataclass(frozen=True)
class Opened:
    """An executor, how near to the device it runs (of `targets.target.CHECKED`), and why no nearer ("" on the device)."""

    executor: Executor
    checked: str
    because: str = ""


def open_nearest(backend_name: str, files: Files, target: Target) -> Opened:
    """Open a variant's files on the device, else in its emulator, else by a stand-in.

    Raises:
        TargetUnavailableError: nothing here can run it; says why and how to mend it.
        PackageError: a file is damaged.
    """
    backend = BACKENDS[backend_name]
    reason = f"this is no {target.title}"
    if target.is_here:
        try:
            return Opened(backend.load(files, target), RUNS_HERE)
        except TargetUnavailableError as error:
            reason = str(error)
    emulator: Emulator | None = EMULATORS.get(target.emulator or "")
    if emulator is not None:
        found = emulator.probe()
        reason = f"{found.reason}; {found.how_to_get_it}"
        if found.available:
            try:
                return Opened(emulator.open(backend_name, files, target), RUNS_EMULATED, f"in {emulator.name}")
            except TargetUnavailableError as error:  # it can't run this backend's artefacts
                reason = str(error)
    return Opened(backend.stand_in(files, target), BUILT_NOT_RUN, reason)
