"""Text files, plain or gzipped, of whatever encoding: found out once, when the file is opened, by reading it through."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from modelgpt_edge.errors import InputError

BLOCK = 1 << 20
HEAD = 1 << 16
GZIP_MAGIC = b"\x1f\x8b"
# Longest first: UTF-32's mark begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CP1252_HOLES = b"\x81\x8d\x8f\x90\x9d"
_ASCII = bytes(range(128))
_CONTROLS = frozenset(map(chr, [*range(0x09), *range(0x0E, 0x20), 0x7F]))
_TEXT_CURE = "Give a CSV, TSV, JSONL or Parquet file."


@dataclass(frozen=True)
class TextFile:
    """A text file whose encoding is known.

    Attributes:
        path: where it lies.
        encoding: a codec's name.
        notes: what the user should know about the encoding.
        strict: whether every byte decodes; if not, the few bad ones are replaced.
    """

    path: Path
    encoding: str
    notes: tuple[str, ...] = ()
    strict: bool = True

    def open(self) -> TextIO:
        """The decoded file; every line ends in a line feed, whatever the file uses."""
        errors = "strict" if self.strict else "replace"
        return io.TextIOWrapper(open_bytes(self.path), encoding=self.encoding, errors=errors)

    def head(self) -> str:
        """The first 64k characters."""
        with self.open() as file:
            return file.read(HEAD)


def open_bytes(path: Path, unpack: bool = True) -> BinaryIO:
    """The file's bytes, unpacked where it is gzipped and `unpack` is set; InputError where it cannot be opened."""
    try:
        file = path.open("rb")
        packed = unpack and file.read(2) == GZIP_MAGIC
        file.seek(0)
    except OSError as error:
        raise InputError(
            f"the file cannot be read ({error.strerror})", where=str(path), cure="Check its permissions."
        ) from error
    if not packed:
        return file
    file.close()
    return cast(BinaryIO, gzip.open(path, "rb"))


def open_text(path: Path) -> TextFile:
    """Read a file through once and tell its encoding.

    InputError where it is empty, binary or a damaged gzip file.
    """
    with open_bytes(path) as file:
        start = next(_blocks(file, path), b"")
    if not start.strip():
        raise InputError("the file is empty", where=str(path), cure="Give a table with a header line and at least one row.")
    encoding = next((name for mark, name in _MARKS if start.startswith(mark)), None) or _unmarked_utf16(start[:4096])
    text = _check_wide(path, encoding) if encoding and encoding != "utf-8-sig" else _find_narrow(path, encoding or "utf-8")
    head = text.head()
    if not head.strip():
        raise InputError("the file is empty", where=str(path), cure="Give a table with a header line and at least one row.")
    # What is UTF-8 to the last byte is hardly anything but text, whatever its cells hold.
    share = 0.3 if text.strict and text.encoding.startswith("utf") else 0.01
    if sum(c in _CONTROLS for c in head) > share * len(head):
        raise _binary(path, start)
    return text


def _blocks(file: BinaryIO, path: Path) -> Iterator[bytes]:
    try:
        while block := file.read(BLOCK):
            yield block
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            "the file is damaged or cut short", where=str(path), seen=str(error), cure="Copy or pack it again."
        ) from error


def _unmarked_utf16(start: bytes) -> str | None:
    """UTF-16 without a mark: mostly Latin text has a zero in every other byte."""
    even, odd = start[0::2].count(0), start[1::2].count(0)
    half = len(start) / 2
    if odd > 0.4 * half and even < 0.05 * half:
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 * half and odd < 0.05 * half else None


def _check_wide(path: Path, encoding: str) -> TextFile:
    """A UTF-16 or UTF-32 file, read through to be sure that every byte decodes."""
    decoder = codecs.getincrementaldecoder(encoding)()
    with open_bytes(path) as file:
        try:
            for block in _blocks(file, path):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            cure = "Save it as UTF-8."
            raise InputError(
                f"the file is damaged: not all of it is {encoding}", where=str(path), seen=error.reason, cure=cure
            ) from error
    return TextFile(path, encoding, (f"encoding {encoding}",))


def _find_narrow(path: Path, encoding: str) -> TextFile:
    """UTF-8 where the bytes allow it, else cp1252, else a guess between the Mac's and DOS's.

    A file that is UTF-8 but for a few bytes stays UTF-8, and those are replaced.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    wide = broken = 0
    high = b""  # some of the bytes beyond ASCII
    pending = False  # whether a character is cut by the end of the last block
    with open_bytes(path) as file:
        for block in _blocks(file, path):
            if b"\0" in block:
                raise _binary(path, block)
            if block.isascii() and not pending:
                continue
            text = decoder.decode(block)
            pending = bool(decoder.getstate()[0])
            wide += len(text) - len(text.encode("ascii", "ignore"))
            broken += text.count("\ufffd") - block.count(b"\xef\xbf\xbd")
            high = (high + block.translate(None, _ASCII))[:BLOCK]
    broken += len(decoder.decode(b"", final=True))
    if broken <= 0:
        return TextFile(path, encoding)
    if broken < 0.1 * wide:
        return TextFile(path, encoding, (f"{broken} broken characters of the UTF-8 text are replaced",), strict=False)
    guess = "cp1252"
    if len(high.translate(None, _CP1252_HOLES)) < len(high):
        guess = max(("mac-roman", "cp850"), key=lambda codec: sum(map(str.islower, high.decode(codec))))
    return TextFile(path, guess, (f"not UTF-8: read as {guess}, a guess; save the file as UTF-8 if letters look wrong",))


def _binary(path: Path, block: bytes) -> InputError:
    if block.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return InputError(
            "this looks like an Excel or zip file, not like a table of text", where=str(path), cure="Save it as CSV."
        )
    return InputError("this looks like binary data, not like a table", where=str(path), seen=block[:12], cure=_TEXT_CURE)
