"""``POST /v1/build`` and ``GET /v1/packages/ID``: packages, as a tar at once or told of by events and fetched later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, BinaryIO

from fastapi import Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from modelgpt_edge.errors import ModelgptEdgeError
from modelgpt_edge.limits import Limits
from modelgpt_edge.requirement.classes_asked import read_classes
from modelgpt_edge.requirement.option_quantities import read_bytes, read_latency, read_seconds
from modelgpt_edge.server import archive, bodies
from modelgpt_edge.server.disk import writing
from modelgpt_edge.server.errors import RequestError, error_json, status_of
from modelgpt_edge.server.events import Told, event, progress_events
from modelgpt_edge.server.jobs import BuildJob, Done, Refused, Result
from modelgpt_edge.server.packages import NAME
from modelgpt_edge.server.requests import gone, service_of, upload_limits, while_here
from modelgpt_edge.server.service import Service
from modelgpt_edge.server.text_options import require_modality


async def build(
    request: Request,
    task: Annotated[str, Query(description="What the model shall do, in a sentence; limits and devices named in it count.")],
    label: Annotated[str | None, Query(description="The column to predict; found where not given.")] = None,
    kind: Annotated[
        str | None, Query(description="classification or regression; told from task and label where not given.")
    ] = None,
    modality: Annotated[str | None, Query(description="table or text; told from the data where not given.")] = None,
    classes: Annotated[
        str | None, Query(description="Of texts: names of classes between commas, which are enough without rows.")
    ] = None,
    described: Annotated[
        Sequence[str],
        Query(alias="class", description="Of texts: a class and what it means, `name: meaning`; may be repeated."),
    ] = (),
    text: Annotated[
        Sequence[str], Query(description="Of texts: the column that holds them, or the two of a pair; found where not given.")
    ] = (),
    target: Annotated[Sequence[str], Query(description="Device to build for, may be repeated.")] = (),
    backend: Annotated[Sequence[str], Query(description="Backend to compile by, may be repeated.")] = (),
    max_latency: Annotated[str | None, Query(description="Longest one row may take, such as 5ms.")] = None,
    max_flash: Annotated[str | None, Query(description="Most bytes the model may take on the device, such as 64kB.")] = None,
    max_ram: Annotated[str | None, Query(description="Most working memory it may take, such as 16kB.")] = None,
    draws: Annotated[int, Query(description="Draws of hidden units, 1, 2 or 4: fewer are quicker.")] = 4,
    generator: Annotated[
        str | None, Query(description="floor, linear or trained, to overrule the guard; of texts words, linear, floor or lora.")
    ] = None,
    finetune: Annotated[str, Query(description="Seconds to fine-tune the model for.")] = "0",
    seed: Annotated[int, Query(description="Seed of every random draw.")] = 0,
) -> Response:
    """A checked and compiled package from labelled rows or texts, or from names of classes of texts alone.

    The body is rows, or a form with a file `data` and perhaps a file `test`; with names of classes there needn't be any.
    With `Accept: text/event-stream` come events `progress` {stage, share}, then `package` {id, url, sha256, bytes, report}, or
    `error`; else the package as a tar.
    """
    service = service_of(request)
    service.require_builder()
    require_modality(modality)
    named = read_classes(classes, described)
    budget = Limits(
        read_latency("max_latency", max_latency), read_bytes("max_flash", max_flash), read_bytes("max_ram", max_ram)
    )
    seconds = read_seconds("finetune", finetune)
    async with AsyncExitStack() as stack:
        folder = await stack.enter_async_context(service.upload())
        data, test = await _tables(request, folder, service, bool(named))
        identity, out = service.packages.place()
        job = BuildJob(
            data,
            out,
            task,
            label,
            kind,
            targets=tuple(target),
            backends=tuple(backend),
            test=test,
            draws=draws,
            generator=generator,
            finetune=seconds,
            seed=seed,
            limits=budget,
            classes=named,
            texts=tuple(text),
            modality=modality,
        )
        told = Told()
        # The build owns its files, whatever becomes of the client.
        running = asyncio.create_task(_built(service, job, identity, lambda *item: told.put_nowait(item), stack.pop_all()))
        running.add_done_callback(lambda _: told.put_nowait(None))
    if "text/event-stream" in request.headers.get("accept", ""):
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(
            _events(request, service, identity, told, running), media_type="text/event-stream", headers=headers
        )
    result = await while_here(request, running)
    if isinstance(result, Refused):
        return JSONResponse(result.error, result.status)
    return await _sent(service, identity)


async def _tables(request: Request, folder: Path, service: Service, named: bool) -> tuple[Path | None, Path | None]:
    """Files of the rows, which needn't be there where classes are named, and of test rows where there are any."""
    if named and not bodies.has_body(request):
        return None, None
    limits, count = upload_limits(service), service.metrics.received.inc
    if bodies.content_type(request) != bodies.MULTIPART:
        upload = await bodies.save_rows(request, folder, limits, count)
        if upload.type == bodies.SAFETENSORS:
            raise bodies.wrong_type(request, [*bodies.ROWS, bodies.MULTIPART])
        return upload.path, None
    parts = {upload.name: upload.path for upload in await bodies.save_parts(request, folder, limits, count, 2)}
    if not (named or "data" in parts) or set(parts) - {"data", "test"}:
        cure = "Send a file `data`, and perhaps a file `test`."
        raise RequestError(400, "the form has other parts than are wanted", where="body", seen=sorted(parts), cure=cure)
    return parts.get("data"), parts.get("test")


async def _built(
    service: Service, job: BuildJob, identity: str, tell: Callable[[str, float], None], stack: AsyncExitStack
) -> Result:
    """Build, and keep the package."""
    async with stack:
        try:
            result = await service.build(job, tell)
        except BaseException:
            service.packages.drop(identity)
            raise
        if isinstance(result, Refused):
            service.packages.drop(identity)
        else:
            service.packages.add(identity)
        return result


async def _events(
    request: Request, service: Service, identity: str, told: Told, running: asyncio.Task[Result]
) -> AsyncIterator[bytes]:
    """A build's events; it ends with the client."""
    watch = asyncio.create_task(gone(request))
    watch.add_done_callback(lambda _: running.cancel())
    try:
        async for item in progress_events(told):
            yield item
        size, digest = 0, ""
        try:
            result = await running
            if isinstance(result, Done):
                tar, size, digest = await _tar(service, identity)
                tar.close()
        except ModelgptEdgeError as error:
            result = Refused(status_of(error), error_json(error))
        if isinstance(result, Refused):
            yield event("error", {**result.error, "status": result.status})
            return
        facts = {
            "id": identity,
            "url": f"/v1/packages/{identity}",
            "bytes": size,
            "sha256": digest,
        }
        yield event("package", {**facts, "report": {**result.facts, "package": NAME}})
    finally:
        watch.cancel()
        running.cancel()


async def package(request: Request, identity: str) -> Response:
    """A package that was built here minutes ago, as a tar."""
    return await _sent(service_of(request), identity)


async def _sent(service: Service, identity: str) -> Response:
    tar, size, digest = await _tar(service, identity)
    headers = {
        "Content-Disposition": f'attachment; filename="{NAME}.tar"',
        "Content-Length": str(size),
        "modelgpt-package": identity,
        "modelgpt-sha256": digest,
    }
    return StreamingResponse(archive.blocks(tar), media_type=bodies.TAR, headers=headers)


async def _tar(service: Service, identity: str) -> tuple[BinaryIO, int, str]:
    """A package as an open tar on disk, its size and its checksum."""
    return await asyncio.to_thread(_written, service.packages.find(identity), service.folder)


def _written(package: Path, place: Path) -> tuple[BinaryIO, int, str]:
    tar: BinaryIO = TemporaryFile(dir=place)  # noqa: SIM115 - it is read after this
    try:
        with writing():
            archive.write_tar(tar, archive.folder_files(package))
        tar.seek(0)
        digest = sha256()
        while block := tar.read(archive.BLOCK):
            digest.update(block)
        return tar, tar.tell(), digest.hexdigest()
    except BaseException:
        tar.close()
        raise
