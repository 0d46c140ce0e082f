"""Errors as HTTP tells them: a status for each class, and one JSON object of what, where, the value seen and the cure."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from modelgpt_edge.errors import BudgetError, GateError, InputError, ModelgptEdgeError, PackageError, TargetUnavailableError
from modelgpt_edge.server.wording import for_request, place_for_command, place_for_request

# The gate's failure is the server's, not the client's; what can't be compiled here isn't implemented here.
STATUS: Mapping[type[ModelgptEdgeError], int] = {
    InputError: 422,
    PackageError: 422,
    BudgetError: 422,
    GateError: 500,
    TargetUnavailableError: 501,
}
BY_CODE: Mapping[int, type[ModelgptEdgeError]] = {1: InputError, 3: GateError, 4: TargetUnavailableError, 5: BudgetError}


class RequestError(InputError):
    """A request that is answered by a status of its own.

    Args:
        status: of HTTP.
        retry_after: seconds after which to ask again.
        close: whether the connection can't go on, such as with half a body unread.
    """

    def __init__(
        self,
        status: int,
        what: str,
        *,
        where: str = "",
        seen: object = None,
        cure: str = "",
        retry_after: int | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(what, where=where, seen=seen, cure=cure)
        self.status, self.retry_after, self.close = status, retry_after, close


def no_pictures(where: str, seen: object) -> RequestError:
    """The error for pictures, which no server takes: they may lie in files that an upload names, and it opens none of those."""
    cure = "Run modelgpt-edge build without --server, where the pictures are."
    return RequestError(422, "models of pictures aren't built on a server", where=where, seen=seen, cure=cure, close=True)


def status_of(error: ModelgptEdgeError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, RequestError):
        return error.status
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 422)


def error_json(error: ModelgptEdgeError) -> dict[str, Any]:
    """An error as JSON values: ``error``, ``where``, ``seen``, ``cure``, and the command line's exit ``code``.

    Options are named as requests name them, and of a path on this machine only the file's name is told.
    """
    seen = "" if error.seen is None else str(error.seen)
    where, cure = place_for_request(error.where), for_request(error.cure)
    values = {"error": error.what, "where": where, "seen": seen[:200], "cure": cure}
    values = {name: _own_paths().sub(lambda path: Path(path[0]).name, value) for name, value in values.items()}
    # Half a surrogate pair, as JSON and tars may hold, is no text that can be sent.
    sent = {name: value.encode("utf-8", "backslashreplace").decode() for name, value in values.items()}
    return {**sent, "code": error.exit_code}


@lru_cache(maxsize=1)
def _own_paths() -> re.Pattern[str]:
    """Paths into the folders that this process works in."""
    used = {tempfile.gettempdir(), os.getcwd(), sys.prefix, sys.base_prefix, str(Path.home()), str(Path(__file__).parents[2])}
    folders = sorted({*used, *map(os.path.realpath, used)} - {os.sep}, key=len, reverse=True)
    return re.compile(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, folders))})(?![\w.-])(?:/[^\s/'\":,;]+)*/?")


def error_of(values: Mapping[str, Any]) -> ModelgptEdgeError:
    """The error that `error_json` made values of, for the command line to raise."""
    where, cure = place_for_command(str(values.get("where", ""))), str(values.get("cure", ""))
    kind = BY_CODE.get(values.get("code", 1), InputError)
    return kind(str(values.get("error", "the server refused")), seen=values.get("seen") or None, where=where, cure=cure)
