"""A real HTTP server that plays a model, well or badly, and the table that it is asked about."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from modelgpt_edge.data.profile import profile
from modelgpt_edge.data.sources import open_source
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.drivers.openai import OpenAI
from modelgpt_edge.requirement.drivers.own_words import Rows
from modelgpt_edge.requirement.drivers.prompt import Question, ask_sentence, shown_rows
from modelgpt_edge.requirement.drivers.write import write_with
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.requirement.rules import write_requirement

TASK = "tell whether customers walk away, under 5 ms on a jetson"
Turn = Callable[[BaseHTTPRequestHandler], None]


@dataclass(frozen=True)
class Asked:
    """What a model is asked about a table."""

    task: str
    question: Question
    rows: Rows
    requirement: Requirement


@pytest.fixture
def asked(customers) -> Asked:
    """About customers who stay or leave; a cell of the table is somebody's plan."""
    table = {**customers, "plan": ["Basic Plus for Alice Smith", "gold", "family", "student"] * 10}
    facts = profile(open_source(table), 0)
    request = Request(TASK, table, "left")
    requirement = write_requirement(request, facts)
    question = ask_sentence(request, facts, requirement)
    return Asked(request.task, question, shown_rows(request, facts, requirement), requirement)


def completion(text: object) -> bytes:
    """What a server sends around a model's text."""
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


def says(answer: object, status: int = 200) -> Turn:
    """A turn that answers: a dict as the JSON that a model would write, a text as it stands, bytes as the whole body."""
    body = answer if isinstance(answer, bytes) else completion(answer if isinstance(answer, str) else json.dumps(answer))

    def turn(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return turn


@dataclass
class Server:
    """A server on this machine that takes its turns in order, the last one again and again."""

    url: str
    turns: list[Turn] = field(default_factory=list)
    asked: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def plays(self, *turns: Turn) -> Server:
        self.turns = list(turns)
        return self

    def driver(self, **options: Any) -> OpenAI:
        return OpenAI(self.url, "a/model", **{"waits": (0, 0), "seconds": 30, **options})


@pytest.fixture
def server() -> Iterator[Server]:
    yield from _served()


@pytest.fixture
def other_server() -> Iterator[Server]:
    yield from _served()


def _served() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.close_connection = True
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            turn = played.turns[min(len(played.asked), len(played.turns) - 1)]
            played.asked.append((dict(self.headers), body))
            with suppress(OSError):  # the client went away
                turn(self)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *arguments: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    played = Server(f"http://127.0.0.1:{http.server_port}/v1")
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield played
    played.ended.set()
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def customers() -> dict[str, list[Any]]:
    """Forty customers; the rules would guess that the last column, the region, is the label."""
    return {
        "tenure": [i % 13 for i in range(40)],
        "charges": [20.5 + i for i in range(40)],
        "plan": ["basic", "gold", "family", "student"] * 10,
        "left": ["yes", "no", "no", "yes", "no"] * 8,
        "region": ["north", "south"] * 20,
    }


@pytest.fixture
def ask() -> Callable[..., Requirement]:
    """The requirement that a driver's model helps with."""

    def asked(driver: Any, task: str, table: dict[str, list[Any]], **options: Any) -> Requirement:
        return write_with(driver, Request(task, table, **options), profile(open_source(table), 0))

    return asked


@pytest.fixture
def answers() -> dict[str, Any]:
    """Functions that make turns of a server, since test modules can't import this one."""
    return {"says": says, "completion": completion}
