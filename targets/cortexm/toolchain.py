"""The cross-compiler for Cortex-M: find it, compile an emitted model with it, and measure what the model takes.

Flash counts what the model's object holds of code and constants: it calls no library, so nothing else comes with it. RAM counts
its static data (there is none), the scratch it is lent, and the stack as the compiler knows it: all frames, one upon the other.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import SubprocessError, run

from modelgpt_edge.errors import PackageError, TargetUnavailableError
from modelgpt_edge.targets.cortexm.cores import Core
from modelgpt_edge.targets.cortexm.emitted import HEADER, SOURCE
from modelgpt_edge.targets.native.toolchain import SECONDS, run_compiler, version

COMPILER = "arm-none-eabi-gcc"
CURE = "Install it: sudo apt install gcc-arm-none-eabi"
# The emitted C gives the same bits under any other flags. Freestanding: the headers are the compiler's own, no libc is needed.
FLAGS = ("-std=c99", "-O2", "-ffreestanding")


@dataclass(frozen=True)
class Size:
    """What a compiled model takes of a device.

    Attributes:
        flash_bytes: code and constants.
        static_bytes, scratch_bytes, stack_bytes: the parts of `ram_bytes`.
        calls: symbols that it needs from elsewhere.
    """

    flash_bytes: int
    static_bytes: int
    scratch_bytes: int
    stack_bytes: int
    calls: tuple[str, ...]

    @property
    def ram_bytes(self) -> int:
        """All RAM while a prediction runs."""
        return self.static_bytes + self.scratch_bytes + self.stack_bytes


def find_cross_compiler() -> str:
    """Path of the cross-compiler.

    Raises:
        TargetUnavailableError: it isn't here.
    """
    found = shutil.which(COMPILER)
    if found is None:
        raise TargetUnavailableError(f"there is no {COMPILER} here", where="the C backend", cure=CURE)
    return found


def write_sources(files: Mapping[str, bytes], folder: Path) -> Path:
    """Put an emitted model into a folder; returns its .c."""
    for name in (SOURCE, HEADER):
        (folder / name).write_bytes(files[name])
    return folder / SOURCE


def measure(files: Mapping[str, bytes], core: Core, flags: Sequence[str] = FLAGS) -> Size:
    """Compile an emitted model for a core and measure it.

    Raises:
        TargetUnavailableError: there is no cross-compiler here, or it failed; its message is passed on.
        PackageError: the header doesn't tell the scratch.
    """
    compiler = find_cross_compiler()
    scratch = re.search(rb"^#define \w+_SCRATCH_BYTES (\d+)", files[HEADER], re.MULTILINE)
    if scratch is None:
        raise PackageError("the header doesn't tell how much scratch the model needs", where=HEADER, cure="Build it anew.")
    with tempfile.TemporaryDirectory() as name:
        source, compiled = write_sources(files, Path(name)), Path(name) / "model.o"
        run_compiler(compiler, [*core.flags, *flags, "-fstack-usage", "-c", str(source), "-o", str(compiled)])
        text, data, bss = map(int, _tool(compiler, "size", compiled).splitlines()[1].split()[:3])
        calls = tuple(line.split()[-1] for line in _tool(compiler, "nm", "-u", compiled).splitlines())
        frames = (line.split("\t")[1] for line in compiled.with_suffix(".su").read_text(encoding="utf-8").splitlines())
        return Size(text + data, data + bss, int(scratch[1]), sum(map(int, frames)), calls)


def cross_version() -> str:
    """What the cross-compiler says of its version; "" where it isn't here or says nothing."""
    found = shutil.which(COMPILER)
    return version(found) if found else ""


def _tool(compiler: str, name: str, *arguments: object) -> str:
    """Output of a tool that comes with the compiler."""
    tool = compiler.removesuffix("gcc") + name
    try:
        return run([tool, *map(str, arguments)], capture_output=True, text=True, timeout=SECONDS, check=True).stdout
    except (OSError, SubprocessError) as error:
        raise TargetUnavailableError(f"{name} can't be run: {error}", where=tool, cure=CURE) from error
