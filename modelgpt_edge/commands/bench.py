"""``modelgpt-edge bench``."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from modelgpt_edge.commands.options import JSON
from modelgpt_edge.commands.printing import print_json, table
from modelgpt_edge.errors import InputError, ModelgptEdgeError, TargetUnavailableError, nearest
from modelgpt_edge.kernels.bench.cases import KERNELS

if TYPE_CHECKING:
    from modelgpt_edge.kernels.bench.run import Report

BENCHES = ("kernels",)
INSTALL = "Install it with: pip install 'modelgpt-edge[kernels]'."


@click.command("bench")
@click.argument("bench", metavar="kernels")
@click.option("--out", type=click.Path(), metavar="FOLDER", help="Write report, measurements and pictures here.")
@click.option("--kernel", metavar="NAME", help="Measure this one alone: emit, merge or gram.")
@click.option(
    "--fail-below", metavar="RATIO", help="Exit 1 where a kernel isn't so many times as fast as its best baseline, in any row."
)
@JSON
def command(bench: str, out: str | None, kernel: str | None, fail_below: str | None, as_json: bool) -> None:
    """Check a server's GPU kernels, time them beside torch and under this machine's roofs, and count models end to end.

    \b
    modelgpt-edge bench kernels --out results --fail-below 0.95

    Without a GPU it checks them in Triton's interpreter, and compiles them for several GPUs ahead of time. Exit 3 where a
    check is red: no table is printed then.
    """
    if bench not in BENCHES:
        raise InputError("there is no such bench", where="bench", seen=bench, cure=nearest(bench, BENCHES))
    if kernel is not None and kernel not in KERNELS:
        raise InputError("there is no such kernel", where="--kernel", seen=kernel, cure=nearest(kernel, KERNELS))
    least = None if fail_below is None else _ratio(fail_below)
    folder = None if out is None else _folder(out)
    for package in ("torch", "triton"):
        if find_spec(package) is None:
            raise TargetUnavailableError(f"the kernels need {package}, which isn't installed", where="bench", cure=INSTALL)
    from modelgpt_edge.kernels.bench.files import append_row, write_report
    from modelgpt_edge.kernels.bench.run import run
    from modelgpt_edge.server.measuring import measure_models

    def keep(row: dict[str, Any]) -> None:
        if folder is not None:
            append_row(folder, row)

    report = run(KERNELS if kernel is None else (kernel,), _say, keep, measure_models)
    if folder is not None:
        write_report(report, folder)
    if as_json:
        print_json(report.to_json())
    else:
        _print(report)
    if least is not None:
        _require(report, least)


def _ratio(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise InputError("this is no ratio", where="--fail-below", seen=text, cure="Give a number above 0, such as 0.95.")
    return value


def _folder(out: str) -> Path:
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise InputError("this is no folder", where="--out", seen=out, cure="Name a folder, or a new one.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _say(line: str) -> None:
    click.echo(line, err=True)


def _print(report: Report) -> None:
    from modelgpt_edge.kernels.bench.table import blocks, header

    for name, line in header(report):
        click.echo(f"{name:<13} {line}")
    for block in blocks(report):
        click.echo(f"\n{block.title}")
        click.echo(table(block.head, block.rows, right=range(block.left, len(block.head))))
        for remark in block.remarks:
            click.echo(f"  {remark}")


def _require(report: Report, least: float) -> None:
    from modelgpt_edge.kernels.bench.rows import worst

    last = worst(report.rows)
    if last is None:
        reason = report.no_gpu or "no baseline ran"
        raise TargetUnavailableError(f"nothing was timed, as {reason}", where="--fail-below", cure="Run it on a GPU.")
    if last.ratio is not None and last.ratio < least:
        what = f"{last.case.name} is {last.ratio:.2f} times as fast as {last.best}, which is less than {least:g}"
        raise ModelgptEdgeError(what, where="--fail-below", cure="Mend the kernel, or the sizes that it is tuned on.")
