"""`build --server`: what a server can make is sent to it, and what it can't is told before anything is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from modelgpt_edge.commands.printing import Progress, progress_bar
from modelgpt_edge.errors import InputError
from modelgpt_edge.request import Request

HERE = "Leave out --server."


def require_sendable(asked: Request, show_prompt: bool, dry_run: bool) -> None:
    """InputError where a build can only be made on this machine."""
    from modelgpt_edge.looking import about_pictures
    from modelgpt_edge.server.errors import no_pictures

    if asked.driver != "rules" or asked.private or show_prompt:
        raise InputError("a driver's model is asked here", where="--driver", seen=asked.driver, cure=HERE)
    if dry_run:
        raise InputError("a dry run is made here", where="--dry-run", cure=HERE)
    pictured = next((value for value in (asked.size, asked.unlabelled) if value is not None), None)
    if pictured is not None or about_pictures(asked):
        raise no_pictures("--server", asked.data if pictured is None else pictured)
    if asked.encoder is not None:
        cure = "Leave it out: a server uses the usual one. Or leave out --server."
        raise InputError("another encoder is used here alone", where="--encoder", seen=asked.encoder, cure=cure)
    if asked.data is None and not asked.classes:
        cure = "Give --data FILE, or --classes 'refund,card lost' for a model of texts without any."
        raise InputError("there is nothing to make a model from", where="--data", cure=cure)


def first_that_answers(
    server: str | None,
    fallback: bool,
    locally: Callable[[Progress], dict[str, Any]],
    remotely: Callable[[str, Progress], dict[str, Any]],
) -> dict[str, Any]:
    """The report of the server's build, or of one made here: where no server is given, or it can't and that is allowed."""
    if server is not None:
        from modelgpt_edge.server.client import ServerUnavailableError

        try:
            with progress_bar() as progress:
                return remotely(server, progress)
        except ServerUnavailableError as error:
            if not fallback:
                raise
            click.echo(f"WARNING: NOT BUILT ON THE SERVER, building on this machine instead: {error}", err=True)
    with progress_bar() as progress:
        return locally(progress)
