"""The native backend: the template's C source compiled for Linux on x86-64 or ARM, and a model's tables beside it."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.numpy import save

from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.errors import InputError, PackageError, TargetUnavailableError
from modelgpt_edge.targets.backend import Artefact, Availability, Executor, Files, Source
from modelgpt_edge.targets.native.executor import LIBRARY, TABLES, NativeExecutor, open_native
from modelgpt_edge.targets.native.tables import native_tables, scratch_floats
from modelgpt_edge.targets.native.toolchain import CURE, FLAGS, SECONDS, compile_library, find_compiler, version
from modelgpt_edge.targets.target import Target, machine
from modelgpt_edge.targets.timing import latency


class Native:
    """Runs the template as machine code."""

    name = "native"
    precisions = ("fp32",)
    fronts = ("packed",)
    by_default = True

    def probe(self) -> Availability:
        """Compile a function with the C compiler, load it and call it."""
        compiler = find_compiler()
        if compiler is None:
            return Availability(False, "", "there is no C compiler", CURE)
        try:
            with tempfile.TemporaryDirectory() as folder:
                source, library = Path(folder) / "one.c", Path(folder) / "one.so"
                source.write_text("int doubled(int x) { return x + x; }\n", encoding="utf-8")
                subprocess.run(
                    [compiler, *FLAGS, "-o", str(library), str(source)], check=True, capture_output=True, timeout=SECONDS
                )
                right = ctypes.CDLL(str(library)).doubled(21) == 42
        except (OSError, subprocess.SubprocessError, AttributeError) as error:
            return Availability(False, "", f"{compiler} doesn't make a library that loads: {error}", CURE)
        if not right:
            return Availability(False, "", f"{compiler} makes code that computes wrongly", CURE)
        return Availability(True, version(compiler), f"{compiler} compiled a function that ran", "")

    def compile(self, source: Source, target: Target, precision: str) -> Artefact:
        """The template for the target's architecture, from the cache where it is known, and the child's tables.

        Raises:
            TargetUnavailableError: there is no compiler for it, or it failed; its message is passed on.
            InputError: the precision isn't fp32.
        """
        if precision not in self.precisions:
            raise InputError("the native form is fp32 only", where=self.name, seen=precision, cure="Ask for fp32.")
        tables = native_tables(source.child)
        files = {LIBRARY: compile_library(target.arch), TABLES: bytes(save(tables))}
        return Artefact(files, "native", _facts(tables, files))

    def refit(self, files: Files, source: Source, target: Target, precision: str) -> Artefact:
        """The library as it is, and the tables of another child; no compiler is needed.

        Raises:
            PackageError: the library can't be read.
        """
        tables = native_tables(source.child)
        try:
            library = files(LIBRARY).read_bytes()
        except OSError as error:
            raise PackageError("the library can't be read", where=LIBRARY, seen=str(error), cure="Build anew.") from error
        made = {LIBRARY: library, TABLES: bytes(save(tables))}
        return Artefact(made, "native", _facts(tables, made))

    def load(self, files: Files, target: Target) -> NativeExecutor:
        """Load the library and the tables on a machine of the target's architecture.

        Raises:
            TargetUnavailableError: this machine is of another one.
            PackageError: the library is cut or for another machine than the target says, or the tables don't fit together.
        """
        if not target.is_here:
            what = f"the native library is for {target.arch}, and this machine is {machine()}"
            raise TargetUnavailableError(what, where=self.name, cure=f"Load it on this device: {target.title}.")
        return open_native(files(LIBRARY), files(TABLES))

    def stand_in(self, files: Files, target: Target) -> Executor:
        """The same C compiled for this machine, on the same tables.

        Raises:
            TargetUnavailableError: there is no C compiler for this machine, or it failed.
            PackageError: the tables don't fit together.
        """
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / LIBRARY
            library.write_bytes(compile_library())
            return open_native(library, files(TABLES))

    def profile(self, files: Files, target: Target, numbers: Floats, codes: Ints) -> Mapping[str, Any]:
        """Quantiles of one warm row in microseconds, on a machine of the target's architecture.

        Raises:
            TargetUnavailableError: this machine is of another one.
        """
        return latency(self.load(files, target), numbers, codes)


def _facts(tables: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, Any]:
    """Scratch of one call, and the memory that it takes with library and tables loaded."""
    scratch = 4 * scratch_floats(tables["sizes"])
    return {"scratch_bytes": scratch, "ram_bytes": scratch + sum(map(len, files.values()))}
