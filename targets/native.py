"""The native backend: the template's C source compiled by the machine's own C compiler, and loaded through ctypes.

The source knows no model: it is compiled once a machine and kept in the user's cache, and every model brings its tables.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.targets.backend import Availability

FLAGS = ("-std=gnu11", "-O2", "-ftree-vectorize", "-fno-math-errno", "-ffp-contract=fast", "-Wno-psabi", "-fPIC", "-shared")
CURE = "Install a C compiler: sudo apt install gcc"
SECONDS = 120


def find_compiler() -> str | None:
    """Path of the C compiler: the one that ``CC`` names, or else cc, gcc or clang."""
    names = (os.environ.get("CC", ""), "cc", "gcc", "clang")
    return next((found for name in names if name and (found := shutil.which(name))), None)


def compile_library(source: Path) -> bytes:
    """A shared library of a C file, compiled now or taken from the cache.

    Raises:
        TargetUnavailableError: there is no compiler, or it failed; its message is passed on.
    """
    compiler = find_compiler()
    if compiler is None:
        raise TargetUnavailableError("there is no C compiler here", where="native backend", cure=CURE)
    cached = _cache_folder() / f"tabular-{_key(source, compiler)}.so"
    if cached.is_file():
        return cached.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "model.so"
        command = [compiler, *FLAGS, "-o", str(library), str(source), "-lm"]
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            what = f"the C compiler can't be run: {error}"
            raise TargetUnavailableError(what, where=compiler, cure="Set CC to a working C compiler.") from error
        if run.returncode != 0:
            what = f"the C compiler failed: {run.stderr.strip()[:500]}"
            raise TargetUnavailableError(what, where=compiler, cure="Set CC to a working C compiler.")
        content = library.read_bytes()
    _keep(cached, content)
    return content


def _key(source: Path, compiler: str) -> str:
    """What a cached library depends on: sources, flags, compiler and machine."""
    hasher = hashlib.sha256("\0".join((*FLAGS, compiler, platform.machine(), _version(compiler))).encode())
    for path in sorted(source.parent.glob("*.[ch]")):
        hasher.update(path.read_bytes())
    return hasher.hexdigest()[:24]


@functools.cache
def _version(compiler: str) -> str:
    """What the compiler says of its version; "" where it says nothing, which its use will explain."""
    try:
        return subprocess.run([compiler, "-dumpfullversion"], capture_output=True, text=True, timeout=SECONDS).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelgpt-edge"


def _keep(path: Path, content: bytes) -> None:
    """Put a library into the cache, whole; a cache that can't be written costs time, nothing else."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(content)
        os.replace(file.name, path)
    except OSError:
        return


class Native:
    """Runs the template as machine code."""

    name = "native"

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
        return Availability(True, _version(compiler), f"{compiler} compiled a function that ran", "")
