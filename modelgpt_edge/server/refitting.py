"""``POST /v1/refit``: one package and many users' tables in, everybody's weights out."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from io import SEEK_END
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, BinaryIO

from fastapi import Query, Request
from fastapi.responses import Response, StreamingResponse

from modelgpt_edge.server import archive, bodies
from modelgpt_edge.server.errors import RequestError
from modelgpt_edge.server.jobs import Done, RefitJob, Refused
from modelgpt_edge.server.requests import service_of, upload_limits, while_here
from modelgpt_edge.server.service import Service

MOST_USERS = 10_000


async def refit(
    request: Request,
    template: Annotated[str | None, Query(description="Identity of a package that was built here.")] = None,
    seed: Annotated[int | None, Query(ge=0, description="Seed of the random draws; the package's own where not given.")] = None,
    score: Annotated[
        bool, Query(description="Cross-validate every user's model, as `refit` does: several times slower.")
    ] = False,
) -> Response:
    """New weights of one package for many users at once.

    The body is a form: a file `template` with the package as a tar, unless the option names one, and a file for each user,
    its field the user's name. Or it is a tar of the users' tables. The answer is a tar of `USER.safetensors`, each what the
    package's `child.safetensors` would be, with `report.json`, and `errors.json` for the users whose tables can't be used.
    """
    service = service_of(request)
    service.require_refitter()
    async with service.upload() as folder:
        users, package = await _users(request, folder, service)
        if template is not None:
            package = service.packages.find(template)
        if package is None:
            cure = "Send a file `template` with the package as a tar, or the option template=ID of one that was built here."
            raise RequestError(422, "the template is missing", where="template", cure=cure)
        if not users:
            raise RequestError(422, "there is no user's table", where="body", cure="Send a file for each user.")
        made = _Made(folder / "weights", tuple(users))
        jobs = [RefitJob(package, path, seed, score) for path in users.values()]
        await while_here(request, service.emit_many(jobs, made.add))
        tar = await asyncio.to_thread(made.tar)
    headers = {"Content-Length": str(tar.seek(0, SEEK_END))}
    return StreamingResponse(archive.blocks(tar), media_type=bodies.TAR, headers=headers)


class _Made:
    """What became of every user's table, the weights on disk: those of many are more than memory should hold."""

    def __init__(self, folder: Path, users: Sequence[str]) -> None:
        folder.mkdir()
        self._folder, self._users = folder, users
        self._report: dict[str, Any] = {}
        self._errors: dict[str, Any] = {}

    def add(self, place: int, result: Done | Refused) -> None:
        """What became of a user's table."""
        user = self._users[place]
        if isinstance(result, Refused):
            self._errors[user] = {**result.error, "status": result.status}
            return
        (self._folder / str(place)).write_bytes(result.content)
        self._report[user] = result.facts

    def tar(self) -> BinaryIO:
        """The answer as an open file, which outlives its folder."""
        place = self._folder / "tar"
        with place.open("wb") as out:
            archive.write_tar(out, self._files())
        return place.open("rb")

    def _files(self) -> Iterator[tuple[str, bytes]]:
        for place, user in enumerate(self._users):
            if user in self._report:
                yield f"{user}.safetensors", (self._folder / str(place)).read_bytes()
        for name, told in (("report.json", self._report), ("errors.json", self._errors)):
            values = {user: told[user] for user in self._users if user in told}
            yield name, json.dumps(values, indent=2, ensure_ascii=False).encode()


async def _users(request: Request, folder: Path, service: Service) -> tuple[dict[str, Path], Path | None]:
    """Every user's table by name, and the template's folder where it came along."""
    limits, count, kind = upload_limits(service), service.metrics.received.inc, bodies.content_type(request)
    users: dict[str, Path] = {}
    if kind == bodies.TAR:
        upload = await bodies.save_body(request, folder, limits, count)
        for name in await asyncio.to_thread(_unpacked, upload.path, folder / "users", limits.bytes):
            _add(users, PurePosixPath(name).name.removesuffix(".gz").rsplit(".", 1)[0], folder / "users" / name)
        return users, None
    if kind != bodies.MULTIPART:
        raise bodies.wrong_type(request, [bodies.MULTIPART, bodies.TAR])
    package = None
    for part in await bodies.save_parts(request, folder, limits, count, MOST_USERS):
        if part.name == "template":
            package = folder / "template"
            await asyncio.to_thread(_unpacked, part.path, package, limits.bytes)
        else:
            _add(users, part.name, part.path)
    return users, package


def _add(users: dict[str, Path], name: str, table: Path) -> None:
    if not re.fullmatch(r"[\w@][\w.@-]{0,99}", name):
        cure = "Use letters, digits, '.', '_', '-' and '@'."
        raise RequestError(422, "this can't be a user's name", where="body", seen=name, cure=cure)
    if name in users:
        cure = "Give each user a name of their own."
        raise RequestError(422, "two tables are of one user", where="body", seen=name, cure=cure)
    users[name] = table


def _unpacked(tar: Path, folder: Path, most: int) -> list[str]:
    """Unpack a tar; the names of its files, of which those of packages lie beside their manifest."""
    with tar.open("rb") as file:
        return archive.write_files(folder, archive.read_tar(file, most, MOST_USERS))
