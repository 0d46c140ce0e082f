"""The application: which routes there are, who may come in, and how errors are told.

FastAPI comes in here and in the three modules of the routes, and its foundation in `bodies` and `requests`; the service knows
neither. Bodies are read as streams, so they aren't declared to FastAPI; the OpenAPI page is told what they are.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Annotated, Any, get_args, get_origin

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelgpt_edge.errors import ModelgptEdgeError, nearest
from modelgpt_edge.server import bodies, openapi
from modelgpt_edge.server.auth import require_own_page, require_token
from modelgpt_edge.server.building import build, package
from modelgpt_edge.server.errors import RequestError, error_json, status_of
from modelgpt_edge.server.launches import Emitter
from modelgpt_edge.server.listing import Listing
from modelgpt_edge.server.metrics import CONTENT_TYPE, Metrics
from modelgpt_edge.server.page import HEADERS, page
from modelgpt_edge.server.parameters import parameters
from modelgpt_edge.server.refitting import refit
from modelgpt_edge.server.requests import service_of
from modelgpt_edge.server.service import Service
from modelgpt_edge.server.settings import Settings

# Bytes of an unread body that cost less to read than a new connection does.
LITTLE = 1 << 20
HUNG_UP = 499  # what nginx calls it; nobody reads it but the metrics


def create_app(settings: Settings, emitter: Emitter | None = None) -> FastAPI:
    """The server as an ASGI application; its workers start and end with it.

    Args:
        emitter: who emits the weights; worker processes of this machine where not given.
    """

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        app.state.listing = Listing()
        service = app.state.service = Service(settings, emitter)
        await service.start()
        try:
            yield
        finally:
            await service.close()

    async def own_page(request: Request) -> None:
        require_own_page(settings.hosts, settings.pages, settings.token, request.headers)

    app = FastAPI(
        title="modelgpt-edge",
        description=openapi.DESCRIPTION,
        version=version("modelgpt-edge"),
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(own_page)],
    )
    app.add_middleware(_Counted)
    for kind in (ModelgptEdgeError, ClientDisconnect, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _on_error)
    _add_routes(app)
    return app


def _add_routes(app: FastAPI) -> None:
    guarded, rows = [Depends(_guard)], '-H "Content-Type: text/csv" --data-binary @rows.csv'
    app.get("/docs", include_in_schema=False)(_docs)
    app.get(
        "/healthz",
        name="healthz",
        response_description="weights can be emitted",
        openapi_extra=openapi.sample("", "/healthz"),
        responses=openapi.refused({503: "no weights can be emitted"}),
    )(_healthz)
    app.head("/healthz", include_in_schema=False)(_healthz)  # which some load balancers ask
    app.get(
        "/metrics",
        name="metrics",
        dependencies=guarded,
        response_class=PlainTextResponse,
        response_description="counters",
        openapi_extra=openapi.sample("", "/metrics"),
    )(_metrics)
    app.get(
        "/v1/targets",
        name="targets",
        dependencies=guarded,
        response_description="a list of targets",
        openapi_extra=openapi.sample("", "/v1/targets"),
    )(_targets)
    app.post(
        "/v1/parameters",
        dependencies=guarded,
        response_class=Response,
        openapi_extra=openapi.body({**openapi.ROWS, bodies.SAFETENSORS: openapi.FILE}, required=False)
        | openapi.samples(
            (f"{rows} -o child.safetensors", "/v1/parameters?task=predict+churn"),
            ("-X POST -o support.safetensors", "/v1/parameters?task=sort+questions&classes=refund,card+lost"),
        ),
        responses=openapi.gives("weights", bodies.SAFETENSORS),
    )(parameters)
    app.post(
        "/v1/build",
        dependencies=guarded,
        response_class=Response,
        openapi_extra=openapi.body({**openapi.ROWS, bodies.MULTIPART: openapi.FORM}, required=False)
        | openapi.samples(
            (f"{rows} -o churn.tar", "/v1/build?task=predict+churn&target=jetson"),
            ("-X POST -o support.tar", "/v1/build?task=sort+questions&classes=refund,card+lost"),
        ),
        responses=openapi.gives("the package, or its events", bodies.TAR, "text/event-stream"),
    )(build)
    app.get(
        "/v1/packages/{identity}",
        dependencies=guarded,
        response_class=Response,
        openapi_extra=openapi.sample("-o churn.tar", "/v1/packages/ID"),
        responses=openapi.gives(
            "the package", bodies.TAR, refusals={401: "no token, or a wrong one", 404: "not kept any more"}
        ),
    )(package)
    app.post(
        "/v1/refit",
        dependencies=guarded,
        response_class=Response,
        openapi_extra=openapi.body({bodies.MULTIPART: openapi.FORM, bodies.TAR: openapi.FILE})
        | openapi.sample("-F template=@churn.tar -F anna=@anna.csv -F ben=@ben.csv -o weights.tar", "/v1/refit"),
        responses=openapi.gives("everybody's weights", bodies.TAR),
    )(refit)


async def _guard(request: Request, _: Annotated[Any, Depends(HTTPBearer(auto_error=False))]) -> None:
    """Let in who bears the token, and refuse options that there aren't."""
    require_token(service_of(request).settings.token, request.headers.get("authorization"))
    known = {field.alias: _repeats(field.field_info.annotation) for field in request.scope["route"].dependant.query_params}
    for name in request.query_params:
        if name not in known:
            cure = nearest(name, list(known)) if known else "This route takes none."
            raise RequestError(422, "there is no such option", where="query", seen=name, cure=cure, close=True)
        given = request.query_params.getlist(name)
        if len(given) > 1 and not known[name]:
            seen = ", ".join(given)
            raise RequestError(422, "an option is given twice", where=name, seen=seen, cure="Give it once.", close=True)


def _repeats(annotation: Any) -> bool:
    """Whether an option of such a type may be given several times."""
    return any(get_origin(part) in (list, Sequence) for part in (annotation, *get_args(annotation)))


async def _docs(request: Request) -> Response:
    app: FastAPI = request.app
    return HTMLResponse(page(app.openapi(), str(request.base_url).rstrip("/")), headers=HEADERS)


async def _healthz(request: Request) -> Response:
    """Whether weights can be emitted; needs no token."""
    health = service_of(request).health()
    return JSONResponse(health, 200 if health["status"] == "ok" else 503)


async def _metrics(request: Request) -> Response:
    """Counters in Prometheus' format."""
    return Response(service_of(request).metrics.text(), media_type=CONTENT_TYPE)


async def _targets(request: Request) -> Response:
    """Devices that can be built for, and how each is checked on this server; looked at anew after a minute."""
    listing: Listing = request.app.state.listing
    return JSONResponse(await listing.told())


async def _on_error(request: Request, error: Exception) -> Response:
    """Any error as its JSON."""
    if isinstance(error, ClientDisconnect):
        return Response(status_code=HUNG_UP)
    headers: dict[str, str] = {}
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        error = _unfit(request, str(first["loc"][1]), first)
    elif isinstance(error, HTTPException):
        headers |= error.headers or {}  # which methods there are instead
        error = _no_route(request, error)
    elif not isinstance(error, ModelgptEdgeError):  # the last resort: it is logged, and told without what it says
        error = RequestError(500, "an internal error", where="server", cure="Report it, with the request.", close=True)
    if isinstance(error, RequestError):
        if error.retry_after is not None:
            headers["Retry-After"] = str(error.retry_after)
        if error.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if error.status == 408 or (error.close and not _short(request)):
            headers["Connection"] = "close"
    return JSONResponse(error_json(error), status_of(error), headers)


def _unfit(request: Request, name: str, found: Mapping[str, Any]) -> RequestError:
    """An option that is missing or of no use, as the framework found it, with what the page says of it."""
    fields = request.scope["route"].dependant.query_params
    about = next((field.field_info.description for field in fields if field.alias == name), None)
    cure = f"Give {name}: {about}" if about else "See /docs for what it is."
    if found["type"] == "missing":
        return RequestError(422, "an option is missing", where=name, cure=cure, close=True)
    what = f"an option can't be used: {found['msg']}"
    return RequestError(422, what, where=name, seen=found.get("input"), cure=cure, close=True)


def _no_route(request: Request, error: HTTPException) -> RequestError:
    """What the framework found no answer to, in our own words."""
    allowed, where = (error.headers or {}).get("Allow"), request.url.path
    if allowed is not None:
        what, cure = "this route doesn't take this method", f"Use {allowed}."
        return RequestError(error.status_code, what, where=where, seen=request.method, cure=cure)
    what = "there is no such route" if error.status_code == 404 else error.detail
    return RequestError(error.status_code, what, where=where, cure="See /docs for the routes.")


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
