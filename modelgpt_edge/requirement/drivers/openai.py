"""A model behind an OpenAI-compatible server: vLLM, Ollama, llama.cpp, a cloud. The standard library alone.

Nothing is followed elsewhere, the key goes to the named host only, and no answer is waited for or read without end.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from ipaddress import ip_address
from socket import SHUT_RDWR
from threading import Timer
from typing import Any
from urllib.parse import urlsplit

from modelgpt_edge.errors import InputError
from modelgpt_edge.requirement.drivers.driver import LONGEST_ANSWER, MOST_TOKENS, SECONDS, UnusableAnswerError
from modelgpt_edge.requirement.drivers.prompt import Question
from modelgpt_edge.requirement.wording import clean

KEY, OTHER_KEY = "MODELGPT_EDGE_API_KEY", "OPENAI_API_KEY"
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})  # worth another try
PLAINER = frozenset({400, 415, 422, 501})  # what servers say to an option that they don't have
CONNECT = 10.0  # seconds to reach a server
TOKENS = 2 * MOST_TOKENS  # some servers' models think aloud before they answer
ERROR_READ = 2_000  # bytes of what a server says to its refusal


@dataclass(frozen=True)
class OpenAI:
    """A server's model.

    Attributes:
        url: base URL, such as ``http://localhost:8000/v1``.
        model: the server's name for the model.
        key: bearer token, None for none.
        seconds: that one answer may take, all tries together.
        waits: seconds before the second try, the third, ...
    """

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    seconds: float = SECONDS
    waits: tuple[float, ...] = (0.5, 2.0)

    @property
    def name(self) -> str:
        """The model, without the server's address."""
        return f"openai:{clean(self.model, 80)}"

    def ask(self, question: Question) -> str:
        """See `Driver.ask`."""
        until = time.monotonic() + self.seconds
        bodies = self.bodies(question)
        for body in bodies:
            status, content = self._answer(body, until)
            if status == 200:
                return _message(content)
            if status not in PLAINER or body is bodies[-1]:
                raise self._refused(status, content)
        raise AssertionError("the last body was not sent")

    def bodies(self, question: Question) -> list[dict[str, Any]]:
        """What is sent, the next one where a server refuses the one before: with a JSON schema, without, and bare."""
        messages = [{"role": "system", "content": question.system}, {"role": "user", "content": question.user}]
        bare = {"model": self.model, "messages": messages}
        plain = {**bare, "temperature": 0, "max_tokens": TOKENS}
        schema = {"name": "answer", "strict": True, "schema": question.schema}
        return [{**plain, "response_format": {"type": "json_schema", "json_schema": schema}}, plain, bare]

    def _answer(self, body: Mapping[str, Any], until: float) -> tuple[int, bytes]:
        """Status and content, tried again where the server is busy or not there."""
        waits = iter(self.waits)
        while True:
            error: Exception | None = None
            try:
                status, content = self._post(body, until)
            except (OSError, HTTPException) as caught:
                error = caught
            else:
                if status not in BUSY:
                    return status, content
            wait = next(waits, None)
            if wait is None or time.monotonic() + wait >= until:
                raise self._unreachable(error) if error is not None else self._refused(status, content)
            time.sleep(wait)

    def _post(self, body: Mapping[str, Any], until: float) -> tuple[int, bytes]:
        kind, host, port, path = read_url(self.url)
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity"}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key}"
        left = until - time.monotonic()
        if left <= 0:
            raise self._late()
        connection = kind(host, port, timeout=min(CONNECT, left))
        try:
            connection.connect()
            with _ended_at(connection, until) as ended:
                try:
                    connection.request("POST", f"{path}/chat/completions", json.dumps(body).encode(), headers)
                    response = connection.getresponse()
                    content = _read(response)
                except (OSError, HTTPException) as error:
                    if ended() or isinstance(error, TimeoutError):
                        raise self._late() from error
                    raise
                if ended():
                    raise self._late()
                return response.status, content
        finally:
            connection.close()

    def _late(self) -> TimeoutError:
        return TimeoutError(f"no answer in {self.seconds:g} s")

    def _unreachable(self, error: Exception) -> InputError:
        cure = "Start the server, correct the URL, or take a quicker model; --driver rules needs none."
        return InputError(f"the server can't be asked: {_told(error)}", where="--driver", seen=self.url, cure=cure)

    def _refused(self, status: int, content: bytes) -> InputError:
        if 300 <= status < 400:
            what, cure = "the server sends elsewhere, which is not followed", "Give the URL that it sends to, if you trust it."
        elif status in (401, 403):
            what, cure = "the server wants a key, or another one", f"Set the variable {KEY}."
        elif status == 404:
            what, cure = (
                "the server has no such address or model",
                "Give openai:BASE_URL#MODEL, such as http://localhost:8000/v1#MODEL.",
            )
        else:
            what, cure = "the server refuses", "See what it says; --driver rules needs no server."
        said = clean(content[:1_000].decode("utf-8", "replace").replace(self.key or "\0", "..."), 200)
        return InputError(f"{what}: status {status}{', ' + said if said else ''}", where="--driver", seen=self.url, cure=cure)


def open_openai(text: str) -> OpenAI:
    """The driver of ``BASE_URL#MODEL``, with the key of the environment.

    Raises:
        InputError: there is no model in it, or no URL.
    """
    url, _, model = text.partition("#")
    url = url.rstrip("/")
    if not url or not model:
        cure = "Give openai:BASE_URL#MODEL, such as openai:http://localhost:8000/v1#MODEL."
        raise InputError("a server's driver is named by URL and model", where="--driver", seen=_bare(text), cure=cure)
    kind, host, _, _ = read_url(url)
    # A key that was set for another service goes over a network only where nobody can read it.
    safe = kind is HTTPSConnection or _is_here(host)
    variable = KEY if os.environ.get(KEY) or not safe else OTHER_KEY
    key = os.environ.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise InputError("this key can't be sent", where=variable, cure="Set it to the key alone, in ASCII.")
    return OpenAI(url, model, key or None)


def read_url(url: str) -> tuple[type[HTTPConnection], str, int | None, str]:
    """Kind of connection, host, port and path of a base URL; InputError where it is none."""
    kinds: Mapping[str, type[HTTPConnection]] = {"http": HTTPConnection, "https": HTTPSConnection}
    cure = "Give http://HOST:PORT/v1 or https://HOST/v1."
    try:
        parts = urlsplit(url)
        kind, host, port = kinds[parts.scheme], parts.hostname, parts.port
    except (KeyError, ValueError):
        raise InputError("this is no server's URL", where="--driver", seen=_bare(url), cure=cure) from None
    if not host or any(c.isspace() or not c.isprintable() for c in url):
        raise InputError("this is no server's URL", where="--driver", seen=_bare(url), cure=cure)
    if parts.username is not None or parts.query:
        cure = f"Leave it out; a key is read from the variable {KEY}."
        raise InputError("a URL with a name, a key or a query isn't used", where="--driver", seen=_bare(url), cure=cure)
    return kind, host, port, parts.path.rstrip("/")


def _bare(url: str) -> str:
    """A URL without what may be a secret."""
    scheme, slashes, rest = url.partition("://")
    return (scheme + slashes + rest.rpartition("@")[2]).partition("?")[0]


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _ended_at(connection: HTTPConnection, until: float) -> Iterator[Callable[[], bool]]:
    """Cuts a connection at a time, whatever it is waiting for then: a server may send a byte now and then for ever."""
    fired: list[bool] = []
    sock = connection.sock  # which the connection forgets when it hands an answer without a length on

    def end() -> None:
        fired.append(True)
        with suppress(OSError):  # it may just have been closed
            sock.shutdown(SHUT_RDWR)

    left = max(0.001, until - time.monotonic())
    sock.settimeout(left)
    timer = Timer(left, end)
    timer.daemon = True
    timer.start()
    try:
        yield lambda: bool(fired)
    finally:
        timer.cancel()


def _read(response: HTTPResponse) -> bytes:
    """The body; IncompleteRead where the connection ends before it does, which a read of so many bytes doesn't tell."""
    if response.status != 200:
        return response.read(ERROR_READ)
    content = response.read(LONGEST_ANSWER + 1)
    if len(content) > LONGEST_ANSWER:
        raise UnusableAnswerError(f"it is longer than {LONGEST_ANSWER // 1024} kB")
    if response.length:
        raise IncompleteRead(content, response.length)
    return content


def _told(error: Exception) -> str:
    return clean(str(error) or type(error).__name__, 200)


def _message(content: bytes) -> str:
    """The model's text in a chat completion."""
    try:
        text = json.loads(content)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        text = None
    if not isinstance(text, str):
        raise UnusableAnswerError("the server's answer is no chat completion")
    return text
