"""The arm64 userland: Debian's Python and the wheels of a bare install, unpacked in the user's cache.

Only `set_up` fetches anything, when it is asked to; everything else only looks.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from modelgpt_edge.cache import cache_folder
from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.targets.aarch64.debian import fetch, unpack
from modelgpt_edge.targets.aarch64.processors import PROCESSORS, kernel_files

Progress = Callable[[str, float], None]
SET_UP = "modelgpt-edge doctor --setup aarch64"
LAYOUT = "1"  # of the folder; another one is set up anew
PYTHON = "python3.11"
# What Raspberry Pi OS 12 has too, and from the next release the C++ headers of ONNX Runtime.
PACKAGES = {
    "bookworm": (
        "libc6", "libgcc-s1", "libstdc++6", "libgomp1", "zlib1g", "libexpat1", "libffi8", "libbz2-1.0", "liblzma5", "libssl3",
        "libsqlite3-0", "libuuid1", "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib",
    ),
    "trixie": ("libonnxruntime-dev",),
}  # fmt: skip
# The bare install, and all that TVM's libraries need on a device: as pyproject.toml says, which a test holds equal.
REQUIREMENTS = (
    "numpy>=1.23", "click>=8.1", "onnxruntime>=1.17", "safetensors>=0.4", "apache-tvm-ffi==0.1.14.post1",
)  # fmt: skip
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")
SECONDS = 1200


def root_folder() -> Path:
    """Where the userland lies, or would; named after what is in it, so that another list is another folder."""
    packages = [name for names in PACKAGES.values() for name in names]
    boards = [f"{cpu} {path} {text}" for cpu, processor in PROCESSORS.items() for path, text in kernel_files(processor)]
    listed = "\0".join((LAYOUT, PYTHON, *packages, *REQUIREMENTS, *boards))
    return cache_folder() / f"aarch64-{hashlib.sha256(listed.encode()).hexdigest()[:12]}"


def is_set_up() -> bool:
    """Whether the userland is there, whole."""
    return (root_folder() / "site").is_dir()


def processor_root(cpu: str) -> Path:
    """The userland as a board with this processor would show it: a root for qemu's ``-L``."""
    return root_folder() / "boards" / cpu


def set_up(progress: Progress = lambda stage, share: None) -> Path:
    """Fetch and unpack the userland where it isn't there yet: about 40 MB from Debian and as much of wheels, 190 MB unpacked.

    It is made in a folder beside it and renamed: never half a userland. What was fetched from Debian before a failure is
    kept for the next try.

    Args:
        progress: called with a stage's name and the share of it that is done.

    Returns:
        Its folder.

    Raises:
        TargetUnavailableError: there is no Debian's apt, no pip or no network; their message is passed on.
    """
    place = root_folder()
    if is_set_up():
        return place
    fetched = cache_folder() / "aarch64-fetched"
    try:
        fetched.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".aarch64-", dir=place.parent))
    except OSError as error:
        cure = "Set XDG_CACHE_HOME to a folder that can be written."
        raise TargetUnavailableError(f"the cache can't be written: {error}", where=str(place.parent), cure=cure) from error
    try:
        progress("fetching Debian's arm64 packages", 0.0)
        packages = fetch(PACKAGES, fetched)
        progress("unpacking them", 0.4)
        unpack(packages, made / "base")
        (made / "base" / "etc").mkdir(exist_ok=True)
        # Without a cache of its own the emulated loader would read this machine's.
        (made / "base" / "etc" / "ld.so.cache").touch()
        progress("fetching Python wheels", 0.5)
        _install(made / "site")
        _link_onnxruntime(made)
        for cpu in PROCESSORS:
            _make_board(made, cpu)
        made.chmod(0o755)
        os.replace(made, place)
    except OSError as error:
        if is_set_up():  # another process was quicker
            return place
        raise TargetUnavailableError(f"the userland can't be made: {error}", where=str(place), cure="Try again.") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    shutil.rmtree(fetched, ignore_errors=True)
    progress("set up", 1.0)
    return place


def _install(site: Path) -> None:
    """Install the wheels for ARM into a folder; pip of this Python does it, and nothing of them is run."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--target"]
    command += [str(site), "--only-binary=:all:", "--implementation", "cp", "--python-version", PYTHON.removeprefix("python")]
    for platform in PLATFORMS:
        command += ["--platform", platform]
    try:
        ran = subprocess.run([*command, *REQUIREMENTS], capture_output=True, text=True, errors="replace", timeout=SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        raise TargetUnavailableError(f"pip can't be run: {error}", where="set-up of aarch64", cure="Try again.") from error
    if ran.returncode != 0:
        errors = [line for line in ran.stderr.splitlines() if line.startswith("ERROR")] or [ran.stderr.strip()[-400:]]
        no_pip = "No module named pip" in ran.stderr
        cure = f"Run: {sys.executable} -m ensurepip" if no_pip else "Check the network and try again."
        raise TargetUnavailableError(f"pip failed: {errors[-1][:400]}", where="set-up of aarch64", cure=cure)


def _link_onnxruntime(made: Path) -> None:
    """The wheel's own library under the names that a C++ program links and loads."""
    library = next((made / "site" / "onnxruntime" / "capi").glob("libonnxruntime.so.*"), None)
    if library is None:
        return
    folder = made / "base" / "usr" / "lib" / "aarch64-linux-gnu"
    # The board's root shows base/usr as its own: links are resolved by this machine, from where they really lie.
    to = Path(os.path.relpath(library, folder))
    for name in ("libonnxruntime.so.1", "libonnxruntime.so"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(to)


def _make_board(made: Path, cpu: str) -> None:
    board = made / "boards" / cpu
    for path, text in kernel_files(PROCESSORS[cpu]):
        (board / path).parent.mkdir(parents=True, exist_ok=True)
        (board / path).write_text(text, encoding="ascii")
    for name in ("usr", "lib", "etc"):
        (board / name).symlink_to(Path("..", "..", "base", name))
