"""Write an app's folder: whole or not at all, and never over anything but an app."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from modelgpt_edge.errors import InputError

ORIGIN = "made_from.json"  # tells an app from any other folder
_MAKER = "modelgpt-edge embed"


def origin(**facts: str | None) -> bytes:
    """``made_from.json``: what the app was made from."""
    return (json.dumps({"made_by": _MAKER, **facts}, indent=1, ensure_ascii=False) + "\n").encode()


def check_place(out: Path, force: bool) -> None:
    """InputError where an app can't be written; only an app, or an empty folder, is ever replaced, and only with `force`."""
    if out.name in ("", ".", ".."):
        raise InputError("this can't name an app's folder", where="--out", seen=str(out), cure="Give a folder such as app.")
    if out.exists() or out.is_symlink():
        if not force:
            cure = "Pass --force to replace it, or give another path."
            raise InputError("this path exists already", where="--out", seen=str(out), cure=cure)
        if out.is_symlink() or not out.is_dir() or (any(out.iterdir()) and not _is_app(out)):
            cure = "Give another path, or remove it yourself."
            raise InputError(
                "--force only replaces apps that embed wrote, and this isn't one", where="--out", seen=str(out), cure=cure
            )
    parent = out.absolute().parent
    if not parent.is_dir():
        what = "the folder to write into doesn't exist"
        raise InputError(what, where="--out", seen=str(parent), cure=f"Make it first: mkdir -p {parent}")


def _is_app(folder: Path) -> bool:
    try:
        facts = json.loads((folder / ORIGIN).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(facts, dict) and facts.get("made_by") == _MAKER


def write_app(out: Path, files: Mapping[str, bytes], force: bool) -> None:
    """Write files by their paths in the app.

    Raises:
        InputError: the place can't be written or the disk is full; nothing is left behind.
    """
    check_place(out, force)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.absolute().parent) as folder:
            fresh, old = Path(folder) / "new", Path(folder) / "old"
            for name, content in files.items():
                path = fresh / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            _put_in_place(fresh, out, old)
    except OSError as error:
        what = "the app can't be written, and nothing was left behind"
        cure = "Free some space or give a place that you can write to."
        raise InputError(what, where="--out", seen=f"{out}: {error.strerror or error}", cure=cure) from error


def _put_in_place(fresh: Path, out: Path, old: Path) -> None:
    if not out.exists():
        fresh.rename(out)
        return
    out.rename(old)
    try:
        fresh.rename(out)
    finally:
        # Interrupted between the two, the old app goes back to its place.
        if not out.exists():
            old.rename(out)
