"""Build the C++ runner, for this machine or by a cross-compiler, against the headers and library of a tvm_ffi wheel."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.targets.tvm.library import INSTALL

SOURCE = Path(__file__).with_name("runner.cc")
SECONDS = 300


def ffi_folder() -> Path:
    """Folder of the installed tvm_ffi package, which holds ``include`` and ``lib``; found without importing it.

    Raises:
        TargetUnavailableError: it isn't installed.
    """
    found = importlib.util.find_spec("tvm_ffi")
    if found is None or found.origin is None:
        raise TargetUnavailableError("tvm_ffi is not installed here", where="tvm runner", cure=INSTALL)
    return Path(found.origin).parent


def build_runner(output: Path, compiler: str = "g++", ffi: Path | None = None) -> Path:
    """Compile ``runner.cc``.

    Args:
        output: the program to write.
        compiler: a C++17 compiler, such as ``aarch64-linux-gnu-g++``.
        ffi: folder of the tvm_ffi package for the program's processor; this machine's where not given.

    Raises:
        TargetUnavailableError: there is no such compiler, or it failed; its message is passed on.
    """
    folder = ffi or ffi_folder()
    path = shutil.which(compiler)
    if path is None:
        package = "g++-aarch64-linux-gnu" if compiler.startswith("aarch64") else "g++"
        raise TargetUnavailableError(
            f"there is no {compiler} here", where="tvm runner", cure=f"Run: sudo apt install {package}"
        )
    library = folder / "lib"
    command = [path, "-std=c++17", "-O2", str(SOURCE), f"-I{folder / 'include'}", f"-L{library}", "-ltvm_ffi"]
    # The library's own needs are met on the device: a cross-compiler doesn't have them.
    command += [f"-Wl,-rpath,{library}", "-Wl,--allow-shlib-undefined", "-o", str(output)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    if run.returncode != 0:
        what = f"the C++ compiler failed: {run.stderr.strip()[:500]}"
        raise TargetUnavailableError(what, where=path, cure="See its message.")
    return output
