"""The C backend: a child, or a network of pixels, emitted as C for a Cortex-M core, and measured by the cross-compiler."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.errors import InputError, PackageError, TargetUnavailableError
from modelgpt_edge.targets.backend import Artefact, Availability, Executor, Files, Source
from modelgpt_edge.targets.cortexm.cores import CORES, core_of
from modelgpt_edge.targets.cortexm.emitted import HEADER, SOURCE, Emitted, form_of
from modelgpt_edge.targets.cortexm.host import open_on_host
from modelgpt_edge.targets.cortexm.network import emit_pixels
from modelgpt_edge.targets.cortexm.qemu import Firmware
from modelgpt_edge.targets.cortexm.tabular import emit_child
from modelgpt_edge.targets.cortexm.toolchain import COMPILER, CURE, cross_version, find_cross_compiler, measure
from modelgpt_edge.targets.native.toolchain import run_compiler
from modelgpt_edge.targets.target import Target

# Rows and pictures that are counted: what a picture takes depends little on what it shows, and there is much of it.
PROFILED, PROFILED_PICTURES = 4, 1
# What is said of a compiled form, by the source's front.
FRONTS = {"packed": "native", "pixels": "pixels"}


class CEmitter:
    """Emits C for microcontrollers."""

    name = "c"
    precisions = ("int8", "fp32")
    fronts = ("packed", "pixels")
    by_default = True

    def probe(self) -> Availability:
        """Compile a function for every core."""
        try:
            compiler = find_cross_compiler()
        except TargetUnavailableError:
            return Availability(False, "", f"there is no {COMPILER}", CURE)
        with tempfile.TemporaryDirectory() as name:
            source, compiled = Path(name) / "one.c", Path(name) / "one.o"
            source.write_text("#include <stdint.h>\nint32_t doubled(int32_t x) { return x + x; }\n", encoding="utf-8")
            try:
                for core in CORES.values():
                    run_compiler(compiler, [*core.flags, "-c", str(source), "-o", str(compiled)])
            except TargetUnavailableError as error:
                return Availability(False, cross_version(), f"it doesn't compile for {core.name}: {error.what}", CURE)
        return Availability(True, cross_version(), f"{compiler} compiled a function for {', '.join(CORES)}", "")

    def compile(self, source: Source, target: Target, precision: str) -> Artefact:
        """Emit the child, or the network of pixels, and measure what it takes of the target's core.

        Raises:
            TargetUnavailableError: there is no cross-compiler here, or it failed; its message is passed on. Or it is a model of
                pictures with layers that no such core runs.
            InputError: the precision, the child's form or the target's core isn't one that the emitter knows.
        """
        core, emitted = core_of(target), self._emit(source, precision)
        size = measure(emitted.files, core)
        facts = {
            "core": core.name,
            "flash_bytes": size.flash_bytes,
            "ram_bytes": size.ram_bytes,
            "scratch_bytes": size.scratch_bytes,
            "stack_bytes": size.stack_bytes,
            "table_bytes": emitted.table_bytes,
            "compiler": f"{COMPILER} {cross_version()}",
        }
        return Artefact(emitted.files, FRONTS[source.front], facts)

    def refit(self, files: Files, source: Source, target: Target, precision: str) -> Artefact:
        """Emit another one; nothing is compiled, so flash and RAM aren't measured anew.

        Raises:
            InputError: the precision or the child's form isn't one that the emitter knows.
        """
        emitted = self._emit(source, precision)
        facts = {"scratch_bytes": emitted.scratch_bytes, "table_bytes": emitted.table_bytes}
        return Artefact(emitted.files, FRONTS[source.front], facts)

    def load(self, files: Files, target: Target) -> Executor:
        """Never: a microcontroller runs no Python."""
        what = f"the C form is compiled into an app for {target.title}, which Python can't open"
        raise TargetUnavailableError(what, where=self.name, cure=f"Add {SOURCE} and {HEADER} to your firmware.")

    def stand_in(self, files: Files, target: Target) -> Executor:
        """The same C compiled for this machine, where it computes the same bits.

        Raises:
            TargetUnavailableError: there is no C compiler for this machine, or it failed.
            PackageError: a file is damaged.
        """
        return open_on_host(read_c(files))

    def profile(self, files: Files, target: Target, numbers: Floats, codes: Ints) -> Mapping[str, Any]:
        """Instructions of one row, counted by the emulator, and flash and RAM; the stack as it was seen to grow.

        Raises:
            TargetUnavailableError: the cross-compiler or the emulator isn't here, or failed.
            PackageError: a file is damaged.
        """
        content, core = read_c(files), core_of(target)
        size = measure(content, core)
        rows = PROFILED_PICTURES if form_of(content[HEADER]) == "pixels" else PROFILED
        ran = Firmware(content, core).run(numbers[:rows], codes[:rows], count=True)
        return {
            "instructions_per_row": None if ran.instructions is None else round(ran.instructions),
            "flash_bytes": size.flash_bytes,
            "ram_bytes": size.static_bytes + size.scratch_bytes + ran.stack_bytes,
            "scratch_bytes": size.scratch_bytes,
            "stack_bytes": ran.stack_bytes,
        }

    def _emit(self, source: Source, precision: str) -> Emitted:
        if precision not in self.precisions:
            cure = f"Ask for {' or '.join(self.precisions)}."
            raise InputError("the C form knows no such precision", where=self.name, seen=precision, cure=cure)
        if source.front == "pixels":
            return emit_pixels(source.pixels, precision)
        return emit_child(source.child, precision)


def read_c(files: Files) -> dict[str, bytes]:
    """Both files of a C form.

    Raises:
        PackageError: one can't be read.
    """
    try:
        return {name: files(name).read_bytes() for name in (SOURCE, HEADER)}
    except OSError as error:
        raise PackageError("the C form can't be read", where=SOURCE, seen=str(error), cure="Build the package anew.") from error
