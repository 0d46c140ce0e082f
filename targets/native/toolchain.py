"""The C compilers that turn the template's one source into a shared library, this machine's own and the cross-compilers.

The source knows no model: it is compiled once an architecture, kept in the user's cache, and every model brings its tables.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType

from modelgpt_edge.cache import cached, keep
from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.targets.native.library import fault
from modelgpt_edge.targets.target import Target, machine

SOURCE = Path(__file__).with_name("tabular.c")
FLAGS = ("-std=gnu11", "-O2", "-ftree-vectorize", "-fno-math-errno", "-ffp-contract=fast", "-Wno-psabi", "-fPIC", "-shared")
CURE = "Install a C compiler: sudo apt install gcc"
SECONDS = 120
# Debian's cross-compiler of an architecture, and what it needs beside it.
CROSS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "aarch64": ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu libc6-dev-arm64-cross"),
        "x86_64": ("x86_64-linux-gnu-gcc", "gcc-x86-64-linux-gnu libc6-dev-amd64-cross"),
    }
)
_LOCKS = {arch: threading.Lock() for arch in CROSS}


def find_compiler(arch: str | None = None) -> str | None:
    """Path of the C compiler for an architecture; None where there is none.

    For this machine, the default, it is the one that ``CC`` names, or else cc, gcc or clang; for others Debian's.
    """
    if arch is None or arch == machine():
        names = (os.environ.get("CC", ""), "cc", "gcc", "clang")
        return next((found for name in names if name and (found := shutil.which(name))), None)
    return shutil.which(CROSS[arch][0]) if arch in CROSS else None


def compile_library(arch: str | None = None) -> bytes:
    """The template as a shared library for an architecture, this machine's by default; compiled now or taken from the cache.

    Threads that ask for the same one at once wait for one compilation.

    Raises:
        TargetUnavailableError: there is no compiler for it, or it failed; its message is passed on.
    """
    arch = arch or machine()
    compiler = find_compiler(arch)
    if compiler is None:
        raise _no_compiler(arch)
    with _LOCKS.setdefault(arch, threading.Lock()):
        return _library(arch, compiler, _key(arch, compiler))


def warm(target: Target) -> Future[bytes]:
    """Begin to compile the template for a target, or to read it from the cache, in a thread.

    Whatever goes wrong there is kept in the future, and met again by who calls `compile_library`.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="native")
    future = pool.submit(compile_library, target.arch)
    pool.shutdown(wait=False)
    return future


def version(compiler: str) -> str:
    """What a compiler says of its version; "" where it says nothing, which its use will explain."""
    return _version(compiler)


def run_compiler(compiler: str, arguments: list[str]) -> None:
    """Run a compiler.

    Raises:
        TargetUnavailableError: it can't be run, or failed; its message is passed on.
    """
    cure = "Set CC to a working C compiler." if compiler == find_compiler() else f"Reinstall it, or try: {compiler} --version"
    try:
        run = subprocess.run([compiler, *arguments], capture_output=True, text=True, errors="replace", timeout=SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        raise TargetUnavailableError(f"the C compiler can't be run: {error}", where=compiler, cure=cure) from error
    if run.returncode != 0:
        raise TargetUnavailableError(f"the C compiler failed: {run.stderr.strip()[:500]}", where=compiler, cure=cure)


@functools.lru_cache(maxsize=8)
def _library(arch: str, compiler: str, key: str) -> bytes:
    """Kept in this process too, so that a cache that can't be written costs one compilation and not one a variant."""
    name = f"tabular-{arch}-{key}.so"
    content = cached(name)
    if content is not None and not fault(content, arch):
        return content
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "model.so"
        run_compiler(compiler, [*FLAGS, "-o", str(library), str(SOURCE), "-lm"])
        content = library.read_bytes()
    why = fault(content, arch)
    if why:
        cure = "Set CC to a C compiler for this machine."
        raise TargetUnavailableError(f"the C compiler makes no library for {arch}: {why}", where=compiler, cure=cure)
    keep(name, content)
    return content


def _key(arch: str, compiler: str) -> str:
    """What a cached library depends on: sources, flags, compiler and architecture."""
    hasher = hashlib.sha256("\0".join((*FLAGS, compiler, arch, version(compiler))).encode())
    for path in sorted(SOURCE.parent.glob("*.[ch]")):
        hasher.update(path.read_bytes())
    return hasher.hexdigest()[:24]


@functools.cache
def _version(compiler: str) -> str:
    try:
        return subprocess.run([compiler, "-dumpfullversion"], capture_output=True, text=True, timeout=SECONDS).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _no_compiler(arch: str) -> TargetUnavailableError:
    if arch == machine():
        return TargetUnavailableError("there is no C compiler here", where="native backend", cure=CURE)
    if arch not in CROSS:
        cure = f"Known: {', '.join(sorted(CROSS))}."
        return TargetUnavailableError(
            "there is no native form for this architecture", where="native backend", seen=arch, cure=cure
        )
    compiler, packages = CROSS[arch]
    cure = f"Install it: sudo apt install {packages}"
    return TargetUnavailableError(f"there is no C compiler for {arch} here ({compiler})", where="native backend", cure=cure)
