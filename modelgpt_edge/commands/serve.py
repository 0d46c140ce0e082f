"""``modelgpt-edge serve``."""

from __future__ import annotations

import os
from importlib.util import find_spec

import click

from modelgpt_edge.commands.options import JSON, TOKEN_FILE
from modelgpt_edge.errors import InputError, TargetUnavailableError
from modelgpt_edge.requirement.option_quantities import read_bytes, read_seconds

NEEDED = ("fastapi", "uvicorn", "prometheus_client", "python_multipart", "threadpoolctl")
LOCAL = ("127.0.0.1", "::1", "localhost")


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen at.")
@click.option("--port", type=int, default=8321, show_default=True, help="Port to listen at; 0 for any free one.")
@TOKEN_FILE
@click.option("--max-body", default="256MB", show_default=True, metavar="SIZE", help="Most bytes of an upload.")
@click.option(
    "--queue",
    type=int,
    default=128,
    show_default=True,
    metavar="N",
    help="Requests for weights that are accepted and not yet answered; the next is told to come again.",
)
@click.option(
    "--batch", type=int, default=32, show_default=True, metavar="N", help="Most models of one launch; 1: one at a time."
)
@click.option(
    "--wait-ms", type=float, default=4, show_default=True, metavar="MS", help="How long an idle launch waits for company."
)
@click.option(
    "--timeout", default="60", show_default=True, metavar="SECONDS", help="Longest that a request for weights may take."
)
@click.option("--build-timeout", default="600", show_default=True, metavar="SECONDS", help="Longest that a build may take.")
@click.option("--workers", type=int, metavar="N", help="Processes that emit weights. Default: one for each core.")
@JSON
def command(
    host: str,
    port: int,
    token_file: str | None,
    max_body: str,
    queue: int,
    batch: int,
    wait_ms: float,
    timeout: str,
    build_timeout: str,
    workers: int | None,
    as_json: bool,
) -> None:
    """Emit weights and build packages for others, over HTTP; its page is at /docs.

    \b
    modelgpt-edge serve --token-file token.txt
    curl -T rows.csv -X POST -H "Content-Type: text/csv" "localhost:8321/v1/parameters?task=predict+churn" -o child.safetensors

    Ctrl-C or SIGTERM ends it after what was accepted is answered.
    """
    missing = next((name for name in NEEDED if find_spec(name) is None), None)
    if missing is not None:
        cure = "Run: pip install 'modelgpt-edge[serve]'."
        raise TargetUnavailableError(f"{missing} is not installed, and serving needs it", where="serve", cure=cure)
    if not 0 <= port < 65536:
        raise InputError("this is no port", where="--port", seen=port, cure="Give 0 to 65535.")
    if not 0 <= wait_ms <= 1000:
        raise InputError("this is no time to wait", where="--wait-ms", seen=wait_ms, cure="Give 0 to 1000 milliseconds.")
    from modelgpt_edge.server.serving import serve
    from modelgpt_edge.server.settings import Settings
    from modelgpt_edge.server.token import read_token

    token = read_token(token_file)
    settings = Settings(
        token=token,
        max_body=read_bytes("--max-body", max_body) or 0,
        queue=queue,
        batch=batch,
        wait=wait_ms / 1000,
        timeout=read_seconds("--timeout", timeout),
        build_timeout=read_seconds("--build-timeout", build_timeout),
        workers=os.cpu_count() or 1 if workers is None else workers,
    )
    if token is None and host not in LOCAL:
        click.echo(f"warning: anybody who reaches {host} may use this server: give --token-file", err=True)
    serve(settings, host, port, as_json)
