"""`build --server`: rows or texts go to a server, progress comes back, and the package is checked before it is put in place.

The standard library alone: a client installs nothing more than a device does.
"""

from __future__ import annotations

import io
import json
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlencode, urlsplit

from modelgpt_edge.compile.package import check_place, write_package
from modelgpt_edge.errors import InputError, PackageError
from modelgpt_edge.runtime.opening import open_package
from modelgpt_edge.server.archive import read_tar, write_files
from modelgpt_edge.server.errors import error_of

Progress = Callable[[str, float], None]
# Seconds without a word from the server, which sends a comment every ten.
SILENCE = 60.0
MOST_BYTES = 1 << 30
BLOCK = 1 << 16
# Answers that say nothing about the request: another server, or a local build, may well do it.
UNAVAILABLE = frozenset({404, 408, 429, 502, 503, 504, 507})


class ServerUnavailableError(InputError):
    """The server can't be reached, or can't do it now (exit 1)."""


@dataclass(frozen=True)
class Server:
    """Where to ask.

    Attributes:
        url: ``http://HOST:PORT`` or ``https://...``, perhaps with a path before the routes.
        token: to bear; None where the server asks for none.
    """

    url: str
    token: str | None = None

    def connect(self) -> tuple[HTTPConnection, str]:
        """A connection, and the path before the routes; InputError where the URL is none."""
        parts = urlsplit(self.url if "://" in self.url else f"http://{self.url}")
        kinds: Mapping[str, type[HTTPConnection]] = {"http": HTTPConnection, "https": HTTPSConnection}
        try:
            kind, host, port = kinds[parts.scheme], parts.hostname, parts.port
        except (KeyError, ValueError):
            host = None
        if host is None:
            cure = "Give http://HOST:PORT, as `serve` prints it."
            raise InputError("this is no server's URL", where="--server", seen=self.url, cure=cure)
        return kind(host, port, timeout=SILENCE), parts.path.rstrip("/")


def build_remotely(
    server: Server,
    options: Mapping[str, str | int | Sequence[str] | None],
    files: Mapping[str, Path],
    out: Path,
    force: bool,
    progress: Progress,
) -> dict[str, Any]:
    """Build on a server, and write the package here as a local build does.

    Args:
        options: of the route ``/v1/build``, by name; files: ``data`` and ``test``, of which neither need be there.

    Returns:
        The report, as `build` gives it.

    Raises:
        ServerUnavailableError: it can't be reached or is busy; nothing is written.
        ModelgptEdgeError: the server refused, with its words, or its package is damaged; nothing is written.
    """
    check_place(out, force)
    given = {name: value for name, value in options.items() if value is not None}
    query = urlencode(given, doseq=True)
    form = _Form(files) if files else None
    progress("uploading", 0)
    built: dict[str, Any] = {}
    response = _post(server, f"/v1/build?{query}", form)
    for kind, values in _events(server, response):
        if kind == "progress":
            progress(f"{values['stage']}", values["share"])
        elif kind == "error":
            raise _refusal(server, int(values["status"]), values)
        elif kind == "package":
            built = values
    if not built:
        raise _unavailable(server, "it ended before the package was there")
    progress("fetching", 0)
    content = _fetch(server, built["url"], built["sha256"])
    _install(content, out, force)
    return {**built["report"], "package": str(out)}


def _install(tar: bytes, out: Path, force: bool) -> None:
    files = dict(read_tar(io.BytesIO(tar), MOST_BYTES))
    with tempfile.TemporaryDirectory(prefix="modelgpt-edge-") as name:
        write_files(Path(name), files.items())
        vouched = {*open_package(name).manifest.files, "manifest.json", "checks.json"}
    strange = sorted(set(files) - vouched)
    if strange:
        cure = "Don't use this server: get packages from where you trust."
        raise PackageError("the package holds a file that its manifest doesn't vouch for", seen=strange[0], cure=cure)
    write_package(out, files, force)


def _post(server: Server, path: str, form: _Form | None) -> HTTPResponse:
    headers = {"Accept": "text/event-stream"}
    if form is not None:
        headers |= {"Content-Type": form.type, "Content-Length": str(form.length)}
    return _ask(server, "POST", path, headers, None if form is None else iter(form))


def _fetch(server: Server, path: str, checksum: str) -> bytes:
    response = _ask(server, "GET", path, {}, None)
    try:
        content = response.read(MOST_BYTES + 1)
    except (OSError, HTTPException) as error:
        raise _unavailable(server, str(error)) from error
    if sha256(content).hexdigest() != checksum:
        raise _unavailable(server, "the package was cut short on its way")
    return content


def _ask(server: Server, method: str, path: str, headers: dict[str, str], body: Iterator[bytes] | None) -> HTTPResponse:
    """A response of status 200; whatever else it is, is raised."""
    connection, prefix = server.connect()
    if server.token is not None:
        headers["Authorization"] = f"Bearer {server.token}"
    try:
        try:
            connection.request(method, prefix + path, body, headers)
        except (BrokenPipeError, ConnectionResetError):
            if connection.sock is None:
                raise
            # The server may have refused before it read everything: then its answer is there.
        response = connection.getresponse()
        if response.status == 200:
            return response
        told = response.read(BLOCK)
    except (OSError, HTTPException) as error:
        raise _unavailable(server, str(error) or type(error).__name__) from error
    try:
        values = json.loads(told)
    except ValueError:
        values = None
    if not isinstance(values, dict) or "error" not in values:
        what = "this is no server of modelgpt-edge, or a proxy answers for it"
        seen = f"{server.url}: {response.status} {response.reason}"
        raise ServerUnavailableError(what, where="--server", seen=seen, cure="Check the URL.")
    raise _refusal(server, response.status, values)


def _refusal(server: Server, status: int, values: Mapping[str, Any]) -> Exception:
    if status in UNAVAILABLE:
        return _unavailable(server, f"{status}: {values['error']}. {values.get('cure', '')}".strip())
    return error_of(values)


def _unavailable(server: Server, why: str) -> ServerUnavailableError:
    cure = "Check the URL and that `modelgpt-edge serve` runs there, try again later, or pass --fallback to build here instead."
    return ServerUnavailableError("the server can't do it now", where="--server", seen=f"{server.url}: {why}", cure=cure)


def _events(server: Server, response: HTTPResponse) -> Iterator[tuple[str, dict[str, Any]]]:
    """Server-sent events as they come: their kind and their JSON."""
    kind = ""
    try:
        for line in response:
            name, _, value = line.decode("utf-8").rstrip("\r\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                yield kind, json.loads(value)
    except (OSError, HTTPException, ValueError) as error:
        raise _unavailable(server, str(error)) from error


class _Form:
    """Files as a form, read as they are sent."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._boundary = secrets.token_hex(16)
        self._parts = [(self._head(name, path), _open(path, name)) for name, path in files.items()]
        self._end = f"--{self._boundary}--\r\n".encode()
        self.type = f"multipart/form-data; boundary={self._boundary}"
        self.length = sum(len(head) + _size(file) + 2 for head, file in self._parts) + len(self._end)

    def _head(self, name: str, path: Path) -> bytes:
        file_name = path.name.replace("\\", "_").replace('"', "_").replace("\n", "_").replace("\r", "_")
        disposition = f'form-data; name="{name}"; filename="{file_name}"'
        lines = [f"--{self._boundary}", f"Content-Disposition: {disposition}", "Content-Type: application/octet-stream", "", ""]
        return "\r\n".join(lines).encode()

    def __iter__(self) -> Iterator[bytes]:
        for head, file in self._parts:
            yield head
            with file:
                while block := file.read(BLOCK):
                    yield block
            yield b"\r\n"
        yield self._end


def _open(path: Path, name: str) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(
            "the file can't be read", where=f"--{name}", seen=f"{path}: {error.strerror}", cure="Check the path."
        ) from error


def _size(file: BinaryIO) -> int:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    return size
