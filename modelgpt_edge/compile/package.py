"""Write a package: into a folder beside its place, then renamed, so that there is never half a package."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from modelgpt_edge.errors import InputError
from modelgpt_edge.manifest import MANIFEST


def check_place(out: Path, force: bool) -> None:
    """InputError where a package can't be written, before any work is done.

    Only a package, or an empty folder, is ever replaced, and only with `force`.
    """
    if not out.name or out.name in (".", ".."):
        raise InputError("this can't name a package", where="--out", seen=str(out), cure="Give a folder such as heart.edge.")
    if out.exists() or out.is_symlink():
        if not force:
            raise InputError(
                "this path exists already",
                where="--out",
                seen=str(out),
                cure="Pass --force to replace it, or give another path.",
            )
        if out.is_symlink() or not out.is_dir() or (any(out.iterdir()) and not _is_package(out)):
            cure = "Give another path, or remove it yourself."
            raise InputError("--force only replaces packages, and this isn't one", where="--out", seen=str(out), cure=cure)
    parent = out.absolute().parent
    if not parent.is_dir():
        raise InputError(
            "the folder to write into doesn't exist", where="--out", seen=str(parent), cure=f"Make it first: mkdir -p {parent}"
        )


def _is_package(folder: Path) -> bool:
    """Whether a folder holds a package of any schema: a manifest.json alone proves nothing, many programs write one."""
    try:
        values = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(values, dict) and {"schema_version", "requirement", "files"} <= set(values)


def write_package(out: Path, files: Mapping[str, bytes], force: bool) -> None:
    """Write files by their paths in the package.

    Raises:
        InputError: the disk is full or the place can't be written; nothing is left behind.
    """
    check_place(out, force)
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.absolute().parent))
    except OSError as error:
        raise _unwritable(out, error) from error
    try:
        temporary.chmod(0o755)
        for name, content in files.items():
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        _put_in_place(temporary, out)
    except OSError as error:
        raise _unwritable(out, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put_in_place(temporary: Path, out: Path) -> None:
    if not out.exists():
        temporary.rename(out)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{out.name}.old.", dir=out.absolute().parent))
    try:
        out.rename(old / out.name)
        temporary.rename(out)
    finally:
        # Interrupted between the two, the old package goes back to its place.
        if not out.exists():
            (old / out.name).rename(out)
        shutil.rmtree(old, ignore_errors=True)


def _unwritable(out: Path, error: OSError) -> InputError:
    return InputError(
        "the package can't be written, and nothing was left behind",
        where="--out",
        seen=f"{out}: {error.strerror or error}",
        cure="Free some space or give a place that you can write to.",
    )


def sha256(content: bytes) -> str:
    """Checksum of a file's content, in hex."""
    return hashlib.sha256(content).hexdigest()
