"""Open a package: schema, checksums and paths are checked before anything in it is used."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from modelgpt_edge.child_file import CHILD
from modelgpt_edge.errors import PackageError
from modelgpt_edge.manifest import MANIFEST, Manifest

_ANEW = "Copy the package again, or build it anew."


@dataclass(frozen=True)
class Package:
    """An opened package: its folder and its manifest, every checksum verified."""

    path: Path
    manifest: Manifest

    def file(self, name: str) -> Path:
        """Path of a file of the package; PackageError for one that the manifest doesn't vouch for."""
        if name not in self.manifest.files:
            what = "the manifest lists no checksum for a file that is needed"
            raise PackageError(what, where=str(self.path), seen=name, cure=_ANEW)
        return self.path / name

    @property
    def child(self) -> Path:
        """Path of a table's generated arrays, which new weights are put in; PackageError for others, which have none."""
        modality = self.manifest.requirement.modality
        if modality != "table":
            what = "texts" if modality == "text" else "pictures"
            cure = f"Build it anew from the new {what}; in Python, modelgpt_edge.load() runs it as it is."
            raise PackageError(f"models of {what} can't be refitted yet", where=str(self.path), cure=cure)
        return self.file(CHILD)


def open_package(path: str | os.PathLike[str]) -> Package:
    """Open a package folder.

    Raises:
        PackageError: it isn't there, isn't a package, is of another schema, or a file is missing, edited or outside.
    """
    folder = Path(path)
    if not folder.exists():
        raise PackageError("there is no such package", where=str(folder), cure="Check the path, or build it first.")
    if not folder.is_dir() or not (folder / MANIFEST).is_file():
        raise PackageError(
            f"this is not a package: it has no {MANIFEST}", where=str(folder), cure="Give the folder that build wrote."
        )
    try:
        values = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise PackageError("the manifest is damaged", where=str(folder / MANIFEST), seen=str(error), cure=_ANEW) from error
    manifest = Manifest.from_json(values)
    for variant in manifest.variants:
        _inside(folder, variant.path)
    for name, expected in manifest.files.items():
        _check_file(folder, name, expected)
    return Package(folder, manifest)


def _inside(folder: Path, name: str) -> Path:
    """The path of a file of the package; PackageError where it would leave the folder."""
    pure = PurePosixPath(name)
    path = folder / name
    leaves = pure.is_absolute() or ".." in pure.parts or "\\" in name or ":" in name or not pure.parts
    if leaves or not path.resolve().is_relative_to(folder.resolve()):
        cure = "Don't use this package: get it from where you trust."
        raise PackageError(
            "a path in the manifest leaves the package's folder", where=str(folder / MANIFEST), seen=name, cure=cure
        )
    return path


def _check_file(folder: Path, name: str, expected: str) -> None:
    path = _inside(folder, name)
    if not path.is_file():
        raise PackageError("a file of the package is missing", where=str(folder), seen=name, cure=_ANEW)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise PackageError(
            "a file of the package was changed or cut since it was built: its checksum differs",
            where=str(path),
            seen=f"sha256 {found[:12]}..., expected {str(expected)[:12]}...",
            cure=_ANEW,
        )
