"""Uploads: streamed to files as they come, never held in memory, and cut off at the limit.

What a body is follows from its content type, or from its file name where the type says nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from modelgpt_edge.server.disk import require_disk
from modelgpt_edge.server.errors import RequestError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

SAFETENSORS, TAR, MULTIPART, BYTES = (
    "application/x-safetensors",
    "application/x-tar",
    "multipart/form-data",
    "application/octet-stream",
)
ROWS = {
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/x-ndjson": ".jsonl",
    "application/jsonl": ".jsonl",
    "application/json": ".json",
    "application/vnd.apache.parquet": ".parquet",
    "application/gzip": ".gz",
}
# Bytes a second that an upload must come at, on average: else a few who trickle would keep everybody out.
SLOWEST = 16_000
# Characters of a file's ending, such as .safetensors.
LONGEST = 16
ENDINGS = (*ROWS.values(), ".txt", ".ndjson", ".pq")


@dataclass(frozen=True)
class Upload:
    """A file that came.

    Attributes:
        name: of the form's field; "" for a body that is no form.
        path: where it lies; its last part is as near to the client's file name as is safe.
        type: content type, without parameters.
    """

    name: str
    path: Path
    type: str


@dataclass(frozen=True)
class UploadLimits:
    """What an upload may be.

    Attributes:
        bytes: most of them.
        idle: seconds that it may stand still, and that it may take longer than at the slowest rate.
    """

    bytes: int
    idle: float


def content_type(request: Request) -> str:
    """The body's type, without parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def has_body(request: Request) -> bool:
    """Whether a body comes with the request."""
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


async def stream(
    request: Request, folder: Path, limits: UploadLimits, count: Callable[[int], None]
) -> AsyncGenerator[bytes, None]:
    """A body's chunks, which go to a folder.

    Args:
        count: told the bytes of every chunk.

    Raises:
        RequestError: it is too long, too slow, stands still, or would fill the disk.
        ClientDisconnect: it is cut short.
    """
    declared = request.headers.get("content-length", "")
    length = int(declared) if declared.isdigit() else 0
    if length > limits.bytes:
        raise _too_long(length, limits)
    require_disk(folder, length)
    clock = asyncio.get_running_loop().time
    chunks, total, begun = request.stream().__aiter__(), 0, clock()
    while True:
        left = begun + limits.idle + total / SLOWEST - clock()
        try:
            chunk = await asyncio.wait_for(anext(chunks), min(limits.idle, left))
        except StopAsyncIteration:
            return
        except asyncio.TimeoutError as error:
            cure = f"Send it without a pause and at {SLOWEST // 1000} kB/s or more, or in smaller parts."
            raise RequestError(
                408, "the upload stood still or is too slow", where="body", seen=f"{total:,} bytes", cure=cure, close=True
            ) from error
        total += len(chunk)
        count(len(chunk))
        if total > limits.bytes:
            raise _too_long(total, limits)
        require_disk(folder, len(chunk))
        yield chunk


def _too_long(seen: int, limits: UploadLimits) -> RequestError:
    cure = f"Send at most {limits.bytes:,} bytes, such as fewer rows or Parquet, or start the server with a larger --max-body."
    return RequestError(413, "the body is too long", where="body", seen=f"{seen:,} bytes", cure=cure, close=True)


async def save_rows(request: Request, folder: Path, limits: UploadLimits, count: Callable[[int], None]) -> Upload:
    """Save a body of rows, or a profile."""
    kind, name = content_type(request), _named(request)
    if kind == SAFETENSORS:
        ending = ".safetensors"
    elif kind in ROWS:
        ending = ROWS[kind]
    elif kind == BYTES and name.lower().endswith(ENDINGS):
        ending = ""
    else:
        raise wrong_type(request, [*ROWS, SAFETENSORS, f"{BYTES} with a file name"])
    return await _save(request, folder / _file_name(name, ending or Path(name).suffix), "", kind, limits, count)


async def save_body(request: Request, folder: Path, limits: UploadLimits, count: Callable[[int], None]) -> Upload:
    """Save a body as it is."""
    return await _save(request, folder / "body", "", content_type(request), limits, count)


async def _save(
    request: Request, path: Path, name: str, kind: str, limits: UploadLimits, count: Callable[[int], None]
) -> Upload:
    size = 0
    with path.open("wb") as file:
        async for chunk in stream(request, path.parent, limits, count):
            file.write(chunk)
            size += len(chunk)
    if not size:
        raise _empty()
    return Upload(name, path, kind)


async def save_parts(
    request: Request, folder: Path, limits: UploadLimits, count: Callable[[int], None], most: int
) -> list[Upload]:
    """Save the files of a form, each in a folder of its own."""
    boundary = parse_options_header(request.headers.get("content-type"))[1].get(b"boundary", b"")
    parts = _Parts(folder, most)
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        async for chunk in stream(request, folder, limits, count):
            parser.write(chunk)
        if not parts.ended:
            raise _unreadable("it ends before its last boundary", most)
    except FormParserError as error:
        raise _unreadable(str(error), most) from error
    finally:
        parts.close()
    return parts.uploads


def _unreadable(seen: str, most: int) -> RequestError:
    cure = f"Send at most {most:,} parts, each with a name and a file name, and end the form by its boundary."
    return RequestError(400, "the form can't be read", where="body", seen=seen, cure=cure, close=True)


class _Parts:
    """Writes the parts of a form to files while it is parsed; one is open at a time, and none is held in memory."""

    def __init__(self, folder: Path, most: int) -> None:
        self.uploads: list[Upload] = []
        self.ended = False
        self._folder, self._most = folder, most
        self._headers: dict[str, bytes] = {}
        self._name, self._value = b"", b""
        self._file: BinaryIO | None = None

    def callbacks(self) -> MultipartCallbacks:
        """What the parser calls."""
        return {
            "on_part_begin": self._headers.clear,
            "on_header_field": self._on_name,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header,
            "on_headers_finished": self._on_headers,
            "on_part_data": self._on_data,
            "on_part_end": self.close,
            "on_end": self._on_end,
        }

    def close(self) -> None:
        """Close the file at hand."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value
        self._name, self._value = b"", b""

    def _on_headers(self) -> None:
        options = parse_options_header(self._headers.get("content-disposition", b""))[1]
        if b"filename" not in options or b"name" not in options or len(self.uploads) >= self._most:
            raise FormParserError(f"part {len(self.uploads) + 1:,} has no name or no file name, or is one too many")
        given = options[b"filename"].decode("utf-8", "replace")
        place = self._folder / str(len(self.uploads))
        place.mkdir()
        path = place / _file_name(given, Path(given).suffix or ".csv")
        kind = self._headers.get("content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
        self.uploads.append(Upload(options[b"name"].decode("utf-8", "replace"), path, kind))
        self._file = path.open("wb")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])

    def _on_end(self) -> None:
        self.ended = True


def wrong_type(request: Request, known: list[str]) -> RequestError:
    """The error for a body of a type that isn't taken, or for no body, whose type says nothing."""
    if not has_body(request):
        return _empty()
    kind, cure = content_type(request), f"Send the header Content-Type: {', '.join(known[:-1])} or {known[-1]}."
    return RequestError(
        415, "a body of this type isn't taken", where="Content-Type", seen=kind or "none", cure=cure, close=True
    )


def _empty() -> RequestError:
    return RequestError(400, "the body is empty", where="body", cure="Send the rows as the request's body.")


def _named(request: Request) -> str:
    """The client's file name, from ``Content-Disposition``; "" where it gives none."""
    message = Message()
    message["Content-Disposition"] = request.headers.get("content-disposition", "")
    return message.get_filename() or ""


def _file_name(given: str, ending: str) -> str:
    """A file name as near to the client's as is safe."""
    stem = PurePosixPath(given.replace("\\", "/")).name.removesuffix(Path(given).suffix)
    # At most 4 bytes a character, and 255 in a name.
    clean = re.sub(r"[^\w.-]+", "_", stem).strip(".")[:50] or "table"
    return clean + re.sub(r"[^\w.]+", "", ending)[:LONGEST]
