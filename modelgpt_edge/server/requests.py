"""What the routes share: the service behind a request, its limits, and work that ends when the client hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from modelgpt_edge.server import bodies
from modelgpt_edge.server.service import Service

T = TypeVar("T")


def service_of(request: Request) -> Service:
    """The service of the application that a request came to."""
    service: Service = request.app.state.service
    return service


def upload_limits(service: Service) -> bodies.UploadLimits:
    """What an upload may be."""
    return bodies.UploadLimits(service.settings.max_body, service.settings.timeout)


async def while_here(request: Request, work: Coroutine[Any, Any, T] | asyncio.Task[T]) -> T:
    """The outcome of work that is cancelled where the client hangs up."""
    task = work if isinstance(work, asyncio.Task) else asyncio.create_task(work)
    watch = asyncio.create_task(gone(request))
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        watch.cancel()
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def gone(request: Request) -> None:
    """Wait until the client hangs up; its body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
