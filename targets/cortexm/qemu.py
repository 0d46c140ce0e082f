"""Run an emitted model on an emulated Cortex-M: bare metal, rows in and outputs back through semihosting, to the bit.

QEMU counts instructions, repeatably, but no cycles: a count compares models, it is no latency.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.targets.cortexm.cores import Core
from modelgpt_edge.targets.cortexm.emitted import HEADER, form_of
from modelgpt_edge.targets.cortexm.template import FOLDER
from modelgpt_edge.targets.cortexm.toolchain import FLAGS, find_cross_compiler, write_sources
from modelgpt_edge.targets.native.toolchain import run_compiler

EMULATOR = "qemu-system-arm"
CURE = "Install it: sudo apt install qemu-system-arm"
SECONDS = 600
IMAGE = "model.elf"
# A prediction's instructions come in whole ticks of 20 to 50: so many runs of each row make that small.
REPEATS = 16


@dataclass(frozen=True)
class Ran:
    """What a run gave.

    Attributes:
        outputs: (N, K).
        instructions: of one prediction, the mean of all rows; None where it wasn't asked for.
        stack_bytes: that the first row took.
    """

    outputs: Floats
    instructions: float | None
    stack_bytes: int


class Firmware:
    """An image with a model in it, for one core; its folder goes with it."""

    def __init__(self, files: Mapping[str, bytes], core: Core) -> None:
        """Compile and link.

        Raises:
            TargetUnavailableError: there is no cross-compiler here, or it failed; its message is passed on.
        """
        self._core = core
        self._place = tempfile.TemporaryDirectory(prefix="cortexm-")
        folder = Path(self._place.name)
        self._form = form_of(files[HEADER])
        defined = {"pixels": ("-DPIXELS",), "numbers": ("-DNETWORK",), "table": ()}[self._form]
        link(folder, core, [write_sources(files, folder), FOLDER / "main.c"], defined)

    def run(self, numbers: Floats, codes: Ints, count: bool = False) -> Ran:
        """Predict rows: numbers (N, C), NaN missing, and word positions (N, S), -1 unknown; or pictures (N, H, W, 3) uint8.

        Args:
            count: also count instructions, which takes several runs of each row.

        Raises:
            TargetUnavailableError: the emulator isn't here, or failed.
        """
        folder, rows = Path(self._place.name), max(len(numbers), len(codes))
        body = np.zeros((rows, 0), np.uint8)
        for values, kind in ((numbers, np.float32), (codes, np.uint8 if self._form == "pixels" else np.int32)):
            if values.size:
                own = np.ascontiguousarray(values, kind).reshape(rows, -1).view(np.uint8)
                body = np.concatenate([body, own], axis=1)
        head = np.array([rows, REPEATS if count else 0], np.int32)
        (folder / "rows.bin").write_bytes(head.tobytes() + body.tobytes())
        emulate(folder, self._core)
        outputs = np.frombuffer((folder / "outputs.bin").read_bytes(), np.float32).reshape(rows, -1)
        ticks, stack = np.frombuffer((folder / "report.bin").read_bytes(), np.uint32)
        instructions = float(ticks) / (rows * REPEATS) * self._core.instructions_a_tick if count and rows else None
        return Ran(outputs.copy(), instructions, int(stack))


def link(folder: Path, core: Core, sources: Sequence[Path], defined: Sequence[str] = ()) -> None:
    """Make an image of sources, with the start-up code, in a folder.

    Raises:
        TargetUnavailableError: there is no cross-compiler here, or it failed; its message is passed on.
    """
    memory = {"FLASH_START": core.flash[0], "FLASH_SIZE": core.flash[1], "RAM_START": core.ram[0], "RAM_SIZE": core.ram[1]}
    linker = ("-nostdlib", "-T", str(FOLDER / "firmware.ld"), *(f"-Wl,--defsym={k}={v}" for k, v in memory.items()), "-lgcc")
    texts = [*map(str, sources), str(FOLDER / "firmware.c")]
    flags = [*core.flags, *FLAGS, *defined, f"-I{folder}", f"-I{FOLDER}"]
    run_compiler(find_cross_compiler(), [*flags, *texts, *linker, "-o", str(folder / IMAGE)])


def emulate(folder: Path, core: Core) -> str:
    """Run the image in a folder, where its files are; returns what it said.

    Raises:
        TargetUnavailableError: the emulator isn't here, or the image failed in it; what was said is passed on.
    """
    found = shutil.which(EMULATOR)
    if found is None:
        raise TargetUnavailableError(f"there is no {EMULATOR} here", where="the C backend", cure=CURE)
    machine = ["-M", core.machine, "-nographic", "-monitor", "none", "-serial", "none", "-icount", "shift=0"]
    command = [found, *machine, "-semihosting-config", "enable=on,target=native", "-kernel", IMAGE]
    try:
        ran = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise TargetUnavailableError(f"the emulator can't be run: {error}", where=found, cure=CURE) from error
    if ran.returncode != 0:
        said = " ".join((ran.stderr + " " + ran.stdout).split())[:500] or f"exit {ran.returncode}"
        raise TargetUnavailableError(f"the model failed in the emulator: {said}", where=f"{EMULATOR} {core.machine}", cure=CURE)
    return (ran.stderr + ran.stdout).strip()
