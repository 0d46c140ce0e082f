"""onnxruntime-web in the user's cache: the three files of its WebAssembly build, out of the npm package that is pinned."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from modelgpt_edge.cache import cache_folder
from modelgpt_edge.errors import TargetUnavailableError

VERSION = "1.30.0"
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
SET_UP = "modelgpt-edge doctor --setup browser"
NPM = "sudo apt install npm"
SECONDS = 300


def library_folder() -> Path:
    """Where the files lie, or would."""
    return cache_folder() / "browser" / f"onnxruntime-web-{VERSION}"


def has_library() -> bool:
    """Whether all of them are there."""
    return all((library_folder() / name).is_file() for name in FILES)


def fetch_library(progress: Callable[[str, float], None]) -> None:
    """Put the files into the cache by npm, whole or not at all.

    Raises:
        TargetUnavailableError: npm isn't here or failed (its message is passed on), or brought another package.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise TargetUnavailableError("npm is not installed", where="onnxruntime-web", cure=f"Run: {NPM}")
    place = library_folder()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as folder:
            progress(f"onnxruntime-web {VERSION} by npm", 0.0)
            archive = _pack(npm, Path(folder))
            progress("unpack it", 0.9)
            _unpack(archive, Path(folder) / "library")
            shutil.rmtree(place, ignore_errors=True)
            (Path(folder) / "library").rename(place)
    except OSError as error:
        cure = f"Free some space, or set XDG_CACHE_HOME to a folder that you can write to (now {cache_folder()})."
        raise TargetUnavailableError(
            "the cache can't be written", where="onnxruntime-web", seen=str(error), cure=cure
        ) from error


def _pack(npm: str, folder: Path) -> Path:
    command = [npm, "pack", f"onnxruntime-web@{VERSION}", "--pack-destination", str(folder), "--loglevel", "error"]
    cure = f"Check the network, then run: {SET_UP}"
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, cwd=folder)
    except subprocess.TimeoutExpired as error:
        what = f"npm didn't end within {SECONDS} s"
        raise TargetUnavailableError(what, where="onnxruntime-web", cure=cure) from error
    archives = list(folder.glob("*.tgz"))
    if run.returncode or len(archives) != 1:
        what = f"npm failed: {run.stderr.strip()[-500:]}"
        raise TargetUnavailableError(what, where="onnxruntime-web", cure=cure)
    return archives[0]


def _unpack(archive: Path, folder: Path) -> None:
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != INTEGRITY:
        what = "npm brought another package than the one that is pinned: its checksum differs"
        cure = "Check which registry npm uses: npm config get registry"
        raise TargetUnavailableError(what, where="onnxruntime-web", seen=found[:30], cure=cure)
    folder.mkdir()
    with tarfile.open(archive) as package:
        for name in FILES:
            file = package.extractfile(f"package/dist/{name}")
            if file is None:
                raise TargetUnavailableError("the npm package lacks a file", where="onnxruntime-web", seen=name)
            (folder / name).write_bytes(file.read())
