"""What the OpenAPI description says of bodies, answers and examples, which FastAPI can't read off functions that stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelgpt_edge.errors import InputError
from modelgpt_edge.server import bodies
from modelgpt_edge.server.errors import error_json

DESCRIPTION = """The hypernetwork as a service: rows or texts in, weights or a compiled package out.
Every error is one JSON object: `error`, `where`, `seen`, `cure` and the command line's exit `code`."""
# Where the examples ask; a page puts its own address in its place.
ADDRESS = "http://127.0.0.1:8321"
# An extension that other pages of OpenAPI know as well.
SAMPLES = "x-codeSamples"
FILE = {"schema": {"type": "string", "format": "binary"}}
ROWS = dict.fromkeys((*bodies.ROWS, bodies.BYTES), FILE)
FORM = {"schema": {"type": "object", "additionalProperties": {"type": "string", "format": "binary"}}}
_REFUSALS = {
    400: "no body, or one that can't be read",
    401: "no token, or a wrong one",
    408: "the upload stood still",
    413: "too long",
    415: "a type that isn't taken",
    422: "refused",
    429: "full: see Retry-After",
    500: "weights that aren't finite",
    501: "what it takes isn't installed here",
    503: "ask again",
    504: "it took too long",
    507: "the disk is full",
}


def sample(options: str, path: str) -> dict[str, Any]:
    """An example: curl's options, and what is asked for."""
    return samples((options, path))


def samples(*asked: tuple[str, str]) -> dict[str, Any]:
    """Several examples, of which each has curl's options and what is asked for."""
    lines = (f'curl -sf {options} "{ADDRESS}{path}"'.replace("  ", " ") for options, path in asked)
    return {SAMPLES: [{"lang": "sh", "source": line} for line in lines]}


def body(content: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    """A body of one of several types."""
    return {"requestBody": {"required": required, "content": content}}


def gives(what: str, *kinds: str, refusals: Mapping[int, str] = _REFUSALS) -> dict[int | str, dict[str, Any]]:
    """Answers: a file of one of several types, or an error."""
    return {200: {"description": what, "content": dict.fromkeys(kinds, FILE)}, **refused(refusals)}


def refused(refusals: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """Answers that are errors, by status."""
    example = error_json(InputError("what is wrong", where="where", cure="What to do about it."))
    return {
        status: {"description": what, "content": {"application/json": {"example": example}}}
        for status, what in refusals.items()
    }
