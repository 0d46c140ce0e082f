"""A web server on localhost for one page: it serves named contents and waits for the page's one answer.

Cross-origin isolation is on, as a deployed app would have it: the browser's clock is then fine enough to time a model.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from queue import Empty, SimpleQueue

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".mjs": "text/javascript",
    ".js": "text/javascript",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".css": "text/css",
}
DONE, FAILED = "done", "failed"


class Page:
    """A page being served.

    Attributes:
        url: its address, with a secret that no other program on the machine knows.
    """

    def __init__(self, url: str, answers: SimpleQueue[tuple[str, bytes]]) -> None:
        self.url, self._answers = url, answers

    def answer(self, seconds: float) -> tuple[str, bytes] | None:
        """What the page posted, to ``done`` or to ``failed``; None where nothing came within the time."""
        try:
            return self._answers.get(timeout=seconds)
        except Empty:
            return None


@contextmanager
def serve(contents: Mapping[str, bytes | Path], start: str) -> Iterator[Page]:
    """Serve contents (bytes, or the path of a file) by name, `start` being the page's own."""
    secret = secrets.token_hex(8)
    answers: SimpleQueue[tuple[str, bytes]] = SimpleQueue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = contents.get(self._name())
            if content is None:
                self._reply(404, b"", ".html")
            else:
                body = content if isinstance(content, bytes) else content.read_bytes()
                self._reply(200, body, PurePosixPath(self._name()).suffix)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self._name() in (DONE, FAILED):
                answers.put((self._name(), body))
            self._reply(200, b"", ".html")

        def _name(self) -> str:
            _, _, path = self.path.partition("?")[0].partition(f"/{secret}/")
            return path

        def _reply(self, status: int, body: bytes, suffix: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", TYPES.get(suffix, "application/octet-stream"))
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the page's own errors are told by the page."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield Page(f"http://127.0.0.1:{server.server_address[1]}/{secret}/{start}", answers)
        finally:
            server.shutdown()
            thread.join()
