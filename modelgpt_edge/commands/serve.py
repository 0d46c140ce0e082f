"""``modelgpt-edge serve``."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec

import click

from modelgpt_edge.commands.options import JSON, TOKEN_FILE
from modelgpt_edge.errors import InputError, TargetUnavailableError, nearest
from modelgpt_edge.requirement.option_quantities import read_bytes, read_seconds
from modelgpt_edge.server.settings import BATCH, DEVICE_BATCH, DEVICE_QUEUE, QUEUE, TORCH_CPU, WORKERS, Settings

NEEDED = ("fastapi", "uvicorn", "prometheus_client", "python_multipart", "threadpoolctl")
ENGINES = ("local", "ray")
NEEDED_BY_RAY = ("ray", "aiohttp", "grpc")
LOCAL = ("127.0.0.1", "::1", "localhost")


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen at.")
@click.option("--port", type=int, default=8321, show_default=True, help="Port to listen at; 0 for any free one.")
@TOKEN_FILE
@click.option("--max-body", default="256MB", show_default=True, metavar="SIZE", help="Most bytes of an upload.")
@click.option(
    "--queue",
    type=int,
    metavar="N",
    help="Requests for weights that are accepted and not yet answered; the next is told to come again. "
    f"Default: {QUEUE}, and on a device {DEVICE_QUEUE}.",
)
@click.option(
    "--batch",
    type=int,
    metavar="N",
    help=f"Most models of one launch; 1: one at a time. Default: {BATCH}, and on a device {DEVICE_BATCH}.",
)
@click.option(
    "--wait-ms", type=float, default=4, show_default=True, metavar="MS", help="How long an idle launch waits for company."
)
@click.option(
    "--timeout",
    default="60",
    show_default=True,
    metavar="SECONDS",
    help="Longest wait for weights, once the rows are there; and longest pause of an upload.",
)
@click.option("--build-timeout", default="600", show_default=True, metavar="SECONDS", help="Longest that a build may take.")
@click.option(
    "--workers",
    type=int,
    metavar="N",
    help="Processes that emit weights. Default: one for each core; 1 in each replica of Ray's.",
)
@click.option(
    "--worker-memory", metavar="SIZE", help="Most memory that one may take for a request. Default: a share of the machine's."
)
@click.option(
    "--device",
    default=WORKERS,
    show_default=True,
    metavar="NAME",
    help=f"Where heads are solved and encoders adapted: {WORKERS}, by the workers; cuda, cuda:1.",
)
@click.option(
    "--engine", default="local", show_default=True, metavar="NAME", help="local: this machine's cores; ray: a Ray cluster's."
)
@click.option("--replicas", metavar="N..M", help="Replicas at least and at most, or one number. Default: one a core here.")
@click.option("--address", metavar="HOST:PORT", help="Head of a Ray cluster to join. Default: a cluster of this machine alone.")
@click.option(
    "--allow-host",
    multiple=True,
    metavar="NAME",
    help="Name to be asked by, such as a proxy passes on; repeatable. Default: localhost where that is its --host, else any.",
)
@JSON
def command(
    host: str,
    port: int,
    token_file: str | None,
    max_body: str,
    queue: int | None,
    batch: int | None,
    wait_ms: float,
    timeout: str,
    build_timeout: str,
    workers: int | None,
    worker_memory: str | None,
    device: str,
    engine: str,
    replicas: str | None,
    address: str | None,
    allow_host: tuple[str, ...],
    as_json: bool,
) -> None:
    """Emit weights and build packages for others, over HTTP; its page is at /docs.

    \b
    modelgpt-edge serve --token-file token.txt
    curl -T rows.csv -X POST -H "Content-Type: text/csv" "localhost:8321/v1/parameters?task=predict+churn" -o child.safetensors

    Ctrl-C or SIGTERM ends it after what was accepted is answered.
    """
    if engine not in ENGINES:
        raise InputError("there is no such engine", where="--engine", seen=engine, cure=nearest(engine, ENGINES))
    for option, value in (("--replicas", replicas), ("--address", address)):
        if engine != "ray" and value is not None:
            raise InputError("this is an option of Ray's", where=option, seen=value, cure="Give --engine ray as well.")
    _require("serve", "serving", NEEDED)
    if device != WORKERS:
        from modelgpt_edge.server.device import require_device

        if engine != "ray":
            require_device(device)
        elif device not in ("cuda", TORCH_CPU):  # each replica asks for it where it runs
            cure = "Give cuda: Ray gives each replica a GPU of its own."
            raise InputError("replicas can't be put there", where="--device", seen=device, cure=cure)
    if engine == "ray":
        _require("serve-ray", "--engine ray", NEEDED_BY_RAY)
    if not 0 <= port < 65536:
        raise InputError("this is no port", where="--port", seen=port, cure="Give 0 to 65535.")
    if not 0 <= wait_ms <= 1000:
        raise InputError("this is no time to wait", where="--wait-ms", seen=wait_ms, cure="Give 0 to 1000 milliseconds.")
    from modelgpt_edge.server.ray_cluster import read_cluster
    from modelgpt_edge.server.serving import serve
    from modelgpt_edge.server.token import read_token

    cluster = read_cluster(replicas, address) if engine == "ray" else None
    token, allowed = read_token(token_file), tuple(map(_host, allow_host))
    settings = Settings(
        token=token,
        max_body=read_bytes("--max-body", max_body) or 0,
        queue=(QUEUE if device == WORKERS else DEVICE_QUEUE) if queue is None else queue,
        batch=(BATCH if device == WORKERS else DEVICE_BATCH) if batch is None else batch,
        wait=wait_ms / 1000,
        timeout=read_seconds("--timeout", timeout),
        build_timeout=read_seconds("--build-timeout", build_timeout),
        workers=(1 if cluster else os.cpu_count() or 1) if workers is None else workers,
        device=device,
        worker_memory=read_bytes("--worker-memory", worker_memory),
        hosts=(*LOCAL, *allowed) if allowed or (token is None and host in LOCAL) else (),
        pages=allowed,
    )
    if token is None and host not in LOCAL:
        click.echo(f"warning: anybody who reaches {host} may use this server: give --token-file", err=True)
    if cluster is not None and cluster.address is None:
        what = "Ray Serve's replicas listen at every address of this machine, each at a port of its own"
        told = os.environ.get("RAY_AUTH_MODE", "token") == "token"
        click.echo(f"warning: {what}{'; they ask for a token' if told else ', and RAY_AUTH_MODE lets everybody in'}", err=True)
    serve(settings, host, port, as_json, cluster)


def _host(name: str) -> str:
    """A host's name as requests tell it; InputError where it is none."""
    if not re.fullmatch(r"[\w.-]+|[0-9a-fA-F:]+", name):
        cure = "Give a name or address alone, such as models.example.com."
        raise InputError("this is no host's name", where="--allow-host", seen=name, cure=cure)
    return name.lower()


def _require(extra: str, what: str, modules: tuple[str, ...]) -> None:
    """TargetUnavailableError where a module isn't installed."""
    missing = next((name for name in modules if find_spec(name) is None), None)
    if missing is not None:
        cure = f"Run: pip install 'modelgpt-edge[{extra}]'."
        raise TargetUnavailableError(f"{missing} is not installed, and {what} needs it", where="serve", cure=cure)
