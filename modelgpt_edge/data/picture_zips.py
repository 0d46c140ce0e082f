"""Pictures in a zip, which may come from anywhere.

It is checked before anything is read, and nothing is ever unpacked to disk.
"""

from __future__ import annotations

import re
import stat
import threading
import zipfile
import zlib
from functools import partial
from io import BytesIO
from pathlib import Path

from modelgpt_edge.data.picture_listing import Listing, Parts, arrange, is_ignored, shown_path
from modelgpt_edge.data.picture_set import MOST_FILES, PictureEntry, PictureSet, is_picture_name
from modelgpt_edge.errors import InputError
from modelgpt_edge.pictures.decode import check_bytes

# Pictures are packed already: what grows more than this much holds none, or was made to fill a memory.
MOST_GROWTH = 200
ALWAYS_TAKEN = 256 << 20
_ENCRYPTED = 0x1
# The two that unpack no more than is asked for at a time.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_TRUST = "Don't use this zip: get it from where you trust."
# What zipfile raises for an entry that isn't as it should be; a damaged one may claim any method of packing.
_FAULTS = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError, NotImplementedError)


def is_zip(source: Path | bytes) -> bool:
    """Whether bytes are a zip by their end, as zips are told, or a file one by its name or, where that has no ending, its end.

    Many kinds of document are zips too, and keep pictures in them: they are no set of pictures.
    """
    try:
        if isinstance(source, bytes):
            return zipfile.is_zipfile(BytesIO(source))
        ending = source.suffix.lower()
        return source.is_file() and (ending == ".zip" or (not ending and zipfile.is_zipfile(source)))
    except (OSError, ValueError):
        return False


def open_picture_zip(source: Path | bytes, labelled: bool, inside: Parts = ()) -> PictureSet:
    """The pictures of a zip of class folders, by class where `labelled`.

    Args:
        source: the zip's path, or what it holds.
        inside: the folder of it to look at, such as ("train",); all of it where empty.

    Raises:
        InputError: it is damaged, locked by a password or no honest zip, or is arranged in another way (see `arrange`).
    """
    where = str(source) if isinstance(source, Path) else "zip"
    archive = _Archive(source, where)
    files: dict[Parts, zipfile.ZipInfo] = {}
    folders: set[Parts] = set()
    for parts, entry in archive.entries:
        if any(map(is_ignored, parts)) or parts[: len(inside)] != inside:
            continue
        below = parts[len(inside) :]
        folders.update(below[:length] for length in range(1, len(below)))
        if not entry.filename.endswith(("/", "\\")):
            files[below] = entry
        elif below:
            folders.add(below)
    where = "/".join((where, *inside))
    locked = next((e for parts, e in files.items() if e.flag_bits & _ENCRYPTED and is_picture_name(parts[-1])), None)
    if locked is not None:
        cure = "Unpack it, and give the folder."
        raise InputError("the zip is locked by a password", where=where, seen=locked.filename, cure=cure)
    odd = next((e for parts, e in files.items() if e.compress_type not in _METHODS and is_picture_name(parts[-1])), None)
    if odd is not None:
        what = "the zip is packed in a way that isn't read"
        raise InputError(what, where=where, seen=odd.filename, cure="Pack it by deflate, or not at all.")
    arranged = arrange(Listing(where, tuple(sorted(files)), tuple(sorted(folders))), labelled)
    for parts, _ in arranged.pictures:
        check_bytes(files[parts].file_size, f"{where}/{shown_path(parts)}")
    entries = tuple(
        PictureEntry(shown_path(parts), label, partial(archive.read, files[parts])) for parts, label in arranged.pictures
    )
    return PictureSet(where, entries, arranged.notes)


class _Archive:
    """A zip that stays open while anyone may ask for what is in it."""

    def __init__(self, source: Path | bytes, where: str) -> None:
        self._where = where
        self._lock = threading.Lock()
        try:
            self._zip = zipfile.ZipFile(source if isinstance(source, Path) else BytesIO(source))
        except _FAULTS as error:
            cure = "Copy or pack it again."
            raise InputError("the zip is damaged or cut short", where=where, seen=str(error), cure=cure) from error
        size = source.stat().st_size if isinstance(source, Path) else len(source)
        self.entries = [(self._parts(entry), entry) for entry in self._zip.infolist() if not _is_link(entry)]
        if len(self.entries) > MOST_FILES:
            raise InputError("the zip has too many entries", where=where, seen=len(self.entries), cure=_TRUST)
        unpacked = sum(entry.file_size for _, entry in self.entries)
        if unpacked > max(ALWAYS_TAKEN, MOST_GROWTH * size):
            seen = f"{size:,} bytes that unpack to {unpacked:,}"
            raise InputError("the zip unpacks to far more than pictures do", where=where, seen=seen, cure=_TRUST)

    def _parts(self, entry: zipfile.ZipInfo) -> Parts:
        """An entry's path; InputError where it would leave the folder that the zip is unpacked to, on any system."""
        name = entry.filename.replace("\\", "/")
        parts = tuple(part for part in name.split("/") if part not in ("", "."))
        if name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in parts or not parts:
            raise InputError("a path in the zip leaves its folder", where=self._where, seen=entry.filename, cure=_TRUST)
        return parts

    def read(self, entry: zipfile.ZipInfo) -> bytes:
        """What an entry holds: never more than its header claims, which was checked. InputError where it is damaged."""
        with self._lock:  # a ZipFile counts its readers without one
            try:
                with self._zip.open(entry) as file:
                    return file.read(entry.file_size + 1)  # without a number all of it would be unpacked, then cut
            except _FAULTS as error:
                cure = "Copy or pack it again."
                name = f"{self._where}/{entry.filename}"
                raise InputError("the entry is damaged", where=name, seen=str(error), cure=cure) from error


def _is_link(entry: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(entry.external_attr >> 16)
