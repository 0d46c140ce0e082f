"""Folders as uncompressed tar streams, and back: no member may leave the folder, be a link, or be more than is allowed."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from modelgpt_edge.errors import PackageError

BLOCK = 1 << 20
CURE = "Don't use this archive: get it from where you trust."


def folder_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """A folder's files, read one after the other: their paths in it, in order, and what they hold."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        yield path.relative_to(folder).as_posix(), path.read_bytes()


def tar_of(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Files, by their paths, as a tar; the same files give the same bytes."""
    out = io.BytesIO()
    write_tar(out, files)
    return out.getvalue()


def write_tar(out: BinaryIO, files: Iterable[tuple[str, bytes]]) -> None:
    """Write a tar, one file after the other as they come."""
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))


def blocks(file: BinaryIO) -> Iterator[bytes]:
    """An open file from its beginning, a block at a time; it is closed at the end."""
    with file:
        file.seek(0)
        while block := file.read(BLOCK):
            yield block


def read_tar(source: BinaryIO, most_bytes: int, most_files: int = 100_000) -> Iterator[tuple[str, bytes]]:
    """Names and contents of a tar's files, as they come.

    Raises:
        PackageError: it is damaged, holds links or devices, leaves its folder, or unpacks to too much.
    """
    left = most_bytes
    try:
        with tarfile.open(fileobj=source, mode="r|") as archive:
            for count, member in enumerate(archive):
                if member.isdir():
                    continue
                # A sparse file is read as more than was sent, and its header may claim less than nothing.
                if not member.isfile() or member.issparse() or member.size < 0 or not safe(member.name):
                    what = "a member of the archive leaves its folder, or is no file"
                    raise PackageError(what, where="tar", seen=member.name, cure=CURE)
                left -= member.size
                if left < 0 or count >= most_files:
                    seen, cure = f"{count + 1:,} files", f"At most {most_bytes:,} bytes in {most_files:,} files are taken."
                    raise PackageError("the archive unpacks to too much", where="tar", seen=seen, cure=cure)
                file = archive.extractfile(member)
                yield str(PurePosixPath(member.name)), file.read() if file else b""
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise PackageError("the tar is damaged or cut short", where="tar", seen=str(error), cure="Send it again.") from error


def safe(name: str) -> bool:
    """Whether a member's name stays in the folder, on any system."""
    pure = PurePosixPath(name)
    return bool(pure.parts) and not (pure.is_absolute() or ".." in pure.parts or "\\" in name or ":" in name or "\0" in name)


def write_files(folder: Path, files: Iterable[tuple[str, bytes]]) -> list[str]:
    """Write files whose names are `safe` into a folder, one after the other as they come; their names.

    Raises:
        PackageError: a file can't be written: its name is too long or that of a folder, or, so its cause, the disk is full.
    """
    names = []
    for name, content in files:
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            cure = "Give shorter names, and none twice."
            raise PackageError(f"a file can't be unpacked: {error.strerror}", where="tar", seen=name, cure=cure) from error
        names.append(name)
    return names
