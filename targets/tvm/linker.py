"""Link compiled modules with the C compiler of this machine or of a cross toolchain, whose message is shown where it fails."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.targets.tvm.machine import Processor

SECONDS = 300


def find_linker(processor: Processor) -> str:
    """Path of a C compiler that links for the processor.

    Raises:
        TargetUnavailableError: there is none.
    """
    linker = next((path for name in processor.linkers if (path := shutil.which(name))), None)
    if linker is None:
        what = f"there is no C compiler that links for {processor.arch}"
        raise TargetUnavailableError(what, where="tvm backend", cure=f"{processor.linker_cure}")
    return linker


def link(linker: str, output: str, objects: list[str]) -> None:
    """Link object files into a shared library.

    Raises:
        TargetUnavailableError: the linker failed; its message is passed on.
    """
    command = [linker, "-shared", "-fPIC", "-o", output, *objects, "-lm"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        what = f"the C compiler can't be run: {error}"
        raise TargetUnavailableError(what, where=linker, cure="Install it anew.") from error
    if run.returncode != 0:
        what = f"the C compiler failed to link the model: {run.stderr.strip()[:500]}"
        raise TargetUnavailableError(what, where=linker, cure="See its message; install it anew.")


def export(linker: str, built: Any, path: Path) -> None:
    """Write a module that TVM compiled as a shared library.

    Raises:
        TargetUnavailableError: the linker failed.
    """
    failure: list[TargetUnavailableError] = []

    def link_files(output: str, objects: list[str], **options: Any) -> None:
        try:
            link(linker, output, objects)
        except TargetUnavailableError as error:
            failure.append(error)

    built.export_library(str(path), fcompile=link_files)
    if failure:
        raise failure[0]
