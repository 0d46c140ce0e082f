"""QEMU's system emulator as an emulator of Cortex-M boards: the C form as firmware, row by row."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.targets.backend import Availability, Check, Files
from modelgpt_edge.targets.cortexm.backend import CEmitter, read_c
from modelgpt_edge.targets.cortexm.cores import CORES, Core, core_of
from modelgpt_edge.targets.cortexm.qemu import CURE, EMULATOR, Firmware, emulate, link
from modelgpt_edge.targets.cortexm.template import FOLDER
from modelgpt_edge.targets.cortexm.toolchain import COMPILER
from modelgpt_edge.targets.cortexm.toolchain import CURE as COMPILER_CURE
from modelgpt_edge.targets.target import Target

SECONDS = 30


class EmulatedCore:
    """An emitted model on an emulated core."""

    def __init__(self, firmware: Firmware) -> None:
        self._firmware = firmware

    def run(self, numbers: Floats, codes: Ints) -> Floats:
        """Outputs (N, K) of numbers (N, C), NaN missing, and word positions (N, S), -1 unknown.

        Raises:
            TargetUnavailableError: the model failed in the emulator.
        """
        return self._firmware.run(numbers, codes).outputs


class QemuSystemArm:
    """Runs the C form on emulated Cortex-M cores."""

    name = EMULATOR

    def probe(self) -> Availability:
        """Run a function on every core."""
        found, compiler = shutil.which(EMULATOR), shutil.which(COMPILER)
        needed = [(found, EMULATOR, CURE), (compiler, COMPILER, COMPILER_CURE)]
        missing = [(name, cure) for path, name, cure in needed if path is None]
        if missing:
            names, cures = zip(*missing)
            return Availability(
                False, "", f"there is no {' and no '.join(names)}", " && ".join(cures).replace("Install it: ", "")
            )
        checks = tuple(_try(core) for core in CORES.values())
        failed = next((c for c in checks if not c.passed), None)
        if failed:
            return Availability(False, _version(str(found)), f"it doesn't run {failed.name}: {failed.detail}", CURE, checks)
        return Availability(True, _version(str(found)), f"a function ran on {', '.join(CORES)}", "", checks)

    def open(self, backend: str, files: Files, target: Target) -> EmulatedCore:
        """Build firmware of a C form for the target's core.

        Raises:
            TargetUnavailableError: the cross-compiler or the emulator isn't here, or can't run this.
            PackageError: a file is damaged.
            InputError: the target names no core that is known.
        """
        if backend != CEmitter.name:
            what = f"{self.name} runs the C form, not that of {backend}"
            raise TargetUnavailableError(what, where=self.name, cure=f"Build for the backend {CEmitter.name}.")
        if shutil.which(EMULATOR) is None:
            raise TargetUnavailableError(f"there is no {EMULATOR} here", where=self.name, cure=CURE)
        return EmulatedCore(Firmware(read_c(files), core_of(target)))


def _try(core: Core) -> Check:
    with tempfile.TemporaryDirectory() as name:
        try:
            link(Path(name), core, [FOLDER / "alive.c"])
            said = emulate(Path(name), core)
        except TargetUnavailableError as error:
            return Check(core.name, False, error.what)
    return Check(core.name, said == "alive", f"ran on {core.machine}" if said == "alive" else f"it said {said!r}")


def _version(emulator: str) -> str:
    try:
        ran = subprocess.run([emulator, "--version"], capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return next(iter(ran.stdout.splitlines()), "unknown").removeprefix("QEMU emulator version ").split(" ")[0] or "unknown"
