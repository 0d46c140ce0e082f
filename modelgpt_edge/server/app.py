"""The application: which routes there are, who may come in, and how errors are told.

FastAPI comes in here and in the three modules of the routes, and its foundation in `bodies` and `requests`; the service knows
neither. Bodies are read as streams, so they aren't declared to FastAPI; the OpenAPI page is told what they are.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelgpt_edge.errors import InputError, ModelgptEdgeError, nearest
from modelgpt_edge.server import bodies
from modelgpt_edge.server.auth import require_token
from modelgpt_edge.server.building import build, package
from modelgpt_edge.server.errors import RequestError, error_json, status_of
from modelgpt_edge.server.metrics import CONTENT_TYPE, Metrics
from modelgpt_edge.server.parameters import parameters
from modelgpt_edge.server.refitting import refit
from modelgpt_edge.server.requests import service_of
from modelgpt_edge.server.service import Service
from modelgpt_edge.server.settings import Settings

# Bytes of an unread body that cost less to read than a new connection does.
LITTLE = 1 << 20
HUNG_UP = 499  # what nginx calls it; nobody reads it but the metrics
DESCRIPTION = """The hypernetwork as a service: rows in, weights or a compiled package out.
Every error is one JSON object: `error`, `where`, `seen`, `cure` and the command line's exit `code`."""
_FILE = {"schema": {"type": "string", "format": "binary"}}
_ROWS = dict.fromkeys((*bodies.ROWS, bodies.BYTES), _FILE)
_FORM = {"schema": {"type": "object", "additionalProperties": {"type": "string", "format": "binary"}}}


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": content}}


def _gives(*kinds: str) -> dict[int | str, dict[str, Any]]:
    error = {
        "application/json": {"example": error_json(InputError("what is wrong", where="where", cure="What to do about it."))}
    }
    refusals = {422: "refused", 413: "too long", 415: "a type that isn't taken", 429: "full: see Retry-After", 503: "ask again"}
    return {
        200: {"content": dict.fromkeys(kinds, _FILE)},
        **{s: {"description": d, "content": error} for s, d in refusals.items()},
    }


def create_app(settings: Settings) -> FastAPI:
    """The server as an ASGI application; its workers start and end with it."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        service = app.state.service = Service(settings)
        await service.start()
        try:
            yield
        finally:
            await service.close()

    app = FastAPI(title="modelgpt-edge", description=DESCRIPTION, version=version("modelgpt-edge"), lifespan=life)
    app.add_middleware(_Counted)
    for kind in (ModelgptEdgeError, ClientDisconnect, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _on_error)
    app.get("/healthz")(_healthz)
    guarded = [Depends(_guard)]
    app.get("/metrics", dependencies=guarded)(_metrics)
    app.get("/v1/targets", dependencies=guarded)(_targets)
    weights = {**_ROWS, bodies.SAFETENSORS: _FILE}
    app.post("/v1/parameters", dependencies=guarded, openapi_extra=_body(weights), responses=_gives(bodies.SAFETENSORS))(
        parameters
    )
    app.post(
        "/v1/build",
        dependencies=guarded,
        openapi_extra=_body({**_ROWS, bodies.MULTIPART: _FORM}),
        responses=_gives(bodies.TAR, "text/event-stream"),
    )(build)
    app.get("/v1/packages/{identity}", dependencies=guarded, responses=_gives(bodies.TAR))(package)
    app.post(
        "/v1/refit",
        dependencies=guarded,
        openapi_extra=_body({bodies.MULTIPART: _FORM, bodies.TAR: _FILE}),
        responses=_gives(bodies.TAR),
    )(refit)
    return app


async def _guard(request: Request, _: Annotated[Any, Depends(HTTPBearer(auto_error=False))]) -> None:
    """Let in who bears the token, and refuse options that there aren't."""
    require_token(service_of(request).settings.token, request.headers.get("authorization"))
    known = [field.alias for field in request.scope["route"].dependant.query_params]
    strange = next((name for name in request.query_params if name not in known), None)
    if strange is not None:
        cure = nearest(strange, known) if known else "This route takes none."
        raise RequestError(422, "there is no such option", where="query", seen=strange, cure=cure, close=True)


async def _healthz(request: Request) -> Response:
    """Whether workers are up; needs no token."""
    health = service_of(request).health()
    return JSONResponse(health, 200 if health["status"] == "ok" else 503)


async def _metrics(request: Request) -> Response:
    """Counters in Prometheus' format."""
    return Response(service_of(request).metrics.text(), media_type=CONTENT_TYPE)


async def _targets(request: Request) -> Response:
    """Devices that can be built for, and how each is checked on this server."""
    return JSONResponse(await asyncio.to_thread(_described))


def _described() -> list[dict[str, object]]:
    from modelgpt_edge.targets.backends import BACKENDS, EMULATORS
    from modelgpt_edge.targets.listing import described
    from modelgpt_edge.targets.registry import list_targets

    backends, emulators = ({name: p.probe() for name, p in known.items()} for known in (BACKENDS, EMULATORS))
    return described(list_targets(), backends, emulators)


async def _on_error(request: Request, error: Exception) -> Response:
    """Any error as its JSON."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=HUNG_UP)
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        where = str(first["loc"][-1])
        error = RequestError(422, f"an option can't be used: {first['msg']}", where=where, seen=first.get("input"), close=True)
    elif isinstance(error, HTTPException):
        error = RequestError(error.status_code, error.detail, where=request.url.path, cure="See /docs for the routes.")
    elif not isinstance(error, ModelgptEdgeError):  # the last resort: it is logged, and told without what it says
        error = RequestError(500, "an internal error", where="server", cure="Report it, with the request.", close=True)
    headers = {}
    if isinstance(error, RequestError):
        if error.retry_after is not None:
            headers["Retry-After"] = str(error.retry_after)
        if error.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if error.status == 408 or (error.close and not _short(request)):
            headers["Connection"] = "close"
    return JSONResponse(error_json(error), status_of(error), headers)


def _short(request: Request) -> bool:
    """Whether what is left of the body is so little that reading it costs less than a new connection."""
    length = request.headers.get("content-length", "0" if request.method == "GET" else "")
    return length.isdigit() and int(length) <= LITTLE


class _Counted:
    """Middleware that counts requests by route and status, and times them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            metrics: Metrics = scope["app"].state.service.metrics
            route = getattr(scope.get("route"), "path", "none")
            metrics.requests.labels(route, status).inc()
            metrics.seconds.labels(route).observe(time.perf_counter() - start)
