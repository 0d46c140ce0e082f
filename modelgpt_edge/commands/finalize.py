"""``modelgpt-edge finalize``."""

from __future__ import annotations

from dataclasses import asdict

import click

from modelgpt_edge.commands.options import JSON, PACKAGE
from modelgpt_edge.commands.printing import print_json, progress_bar, size

ONLY = click.option("--variant", metavar="NAME", help="Finalize this one alone: TARGET-tensorrt-PRECISION.")
WORKSPACE = click.option(
    "--workspace", type=click.IntRange(min=1), metavar="MB", help="Most scratch memory of a layer, in MB; the recipe's without."
)
ANEW = click.option("--force", is_flag=True, help="Build the engine anew though one that matches is there.")


@click.command("finalize")
@PACKAGE
@ONLY
@WORKSPACE
@ANEW
@JSON
def command(package: str, variant: str | None, workspace: int | None, force: bool, as_json: bool) -> None:
    """Build the TensorRT engines of a PACKAGE for the board this runs on, and check them against the golden rows.

    Runs on the board itself, as an engine works on one kind of board, TensorRT and JetPack alone. The engines are kept in the
    package; loading it never builds. Exit 3 where an engine doesn't reproduce the golden rows, 4 where this isn't the board.
    """
    from modelgpt_edge.runtime.finalize import finalize_package

    with progress_bar() as progress:
        board, engines = finalize_package(package, variant, None if workspace is None else workspace << 20, force, progress)
    if as_json:
        print_json({"package": package, "board": asdict(board), "engines": [e.to_json() for e in engines]})
        return
    tensorrt = engines[0].record.key.tensorrt
    click.echo(f"{board.model}: {board.sm}, {board.jetpack}, CUDA {board.cuda}, TensorRT {tensorrt}")
    for engine in engines:
        click.echo(f"ok    {engine.hop.line()}")
        quick = f"{engine.latency['p50_us']:.0f} us a row (median)"
        click.echo(f"      {engine.how} in {engine.seconds:.1f} s, {size(engine.record.engine_bytes)}, {quick}")
        if engine.note:
            click.echo(f"      {engine.note}")
