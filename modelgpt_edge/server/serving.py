"""Run the application under uvicorn: say where it listens once it is ready, and end it gracefully."""

from __future__ import annotations

import json
import math
import signal
import socket
import sys
from typing import TYPE_CHECKING

import uvicorn

from modelgpt_edge.errors import InputError
from modelgpt_edge.server.app import create_app
from modelgpt_edge.server.launches import Emitter
from modelgpt_edge.server.settings import WORKERS, Settings

if TYPE_CHECKING:
    from modelgpt_edge.server.ray_cluster import Cluster

# Seconds that an idle connection is kept: longer than clients keep theirs, so that no request runs into its end.
KEEP_ALIVE = 75


class _Server(uvicorn.Server):
    """Says that it is ready."""

    said = ""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, after which the line is printed: workers are warm and the port answers."""
        await super().startup(sockets)
        if self.started:
            sys.stdout.write(self.said)
            sys.stdout.flush()


def serve(settings: Settings, host: str, port: int, as_json: bool, cluster: Cluster | None = None) -> None:
    """Serve until SIGINT or SIGTERM, and then until everything that was accepted is answered.

    Args:
        cluster: where replicas emit the weights; processes of this machine do where not given.

    Raises:
        InputError: the address can't be listened at, or the cluster can't be used.
    """
    listening = _listen(host, port)
    port = listening.getsockname()[1]
    name = f"[{host}]" if ":" in host else host
    url = f"http://{name}:{port}"
    facts = {"url": url, "workers": settings.workers, "batch": settings.batch, "queue": settings.queue}
    facts["device"] = settings.device
    workers = f"{settings.workers} worker{'s' if settings.workers > 1 else ''}" + (
        "" if settings.device == WORKERS else f", on {settings.device}"
    )
    if cluster is not None:
        facts["replicas"] = cluster.least
        workers = f"{_count(cluster)} of {workers}"
    said = json.dumps(facts) if as_json else f"Serving       {url} with {workers}; its page is {url}/docs"
    if cluster is None:
        _run(settings, None, listening, said)
        return
    from modelgpt_edge.server.ray_cluster import joined

    with joined(cluster, settings):
        from modelgpt_edge.server.ray_launch import deployed

        with deployed(cluster, settings, f"{socket.gethostname()}-{port}") as replicas:
            _run(settings, replicas, listening, said)


def _count(cluster: Cluster) -> str:
    """How many replicas, for people."""
    if cluster.least < cluster.most:
        return f"{cluster.least} to {cluster.most} replicas, each"
    return "1 replica" if cluster.least == 1 else f"{cluster.least} replicas, each"


def _run(settings: Settings, emitter: Emitter | None, listening: socket.socket, said: str) -> None:
    config = uvicorn.Config(
        create_app(settings, emitter),
        log_level="warning",
        access_log=False,
        lifespan="on",
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        # What was accepted is finished, builds that wait for one another included; trickling uploads can't hold it up longer.
        timeout_graceful_shutdown=math.ceil(settings.build_timeout * settings.builds),
    )
    server = _Server(config)
    server.said = said + "\n"
    # uvicorn raises the signal anew when it is done; ending as asked is no interrupt.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    server.run(sockets=[listening])
    if not server.started:
        raise InputError("the server didn't start", where="serve", cure="Its workers didn't come up: run with --debug.")


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2048)
    except OSError as error:
        cure = "Give another --port, 0 for any, or an address of this machine."
        raise InputError("can't listen there", where="--host", seen=f"{host}:{port}: {error.strerror}", cure=cure) from error
    return listening
