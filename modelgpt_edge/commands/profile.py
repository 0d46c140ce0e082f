"""``modelgpt-edge profile``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from modelgpt_edge.commands.options import JSON, PACKAGE
from modelgpt_edge.commands.printing import print_json
from modelgpt_edge.errors import InputError

if TYPE_CHECKING:
    from modelgpt_edge.runtime.profile import Report


@click.command("profile")
@PACKAGE
@click.option(
    "--variant", metavar="NAME", help="Profile this one alone: TARGET-BACKEND-PRECISION, or 'model' for the ONNX model."
)
@click.option(
    "--rows", type=click.Path(), metavar="FILE", help="Rows to run, as for predict. Default: the package's golden rows."
)
@click.option("--seconds", default="5", show_default=True, metavar="N", help="Length of the sustained run of each variant.")
@JSON
def command(package: str, variant: str | None, rows: str | None, seconds: str, as_json: bool) -> int:
    """Measure a PACKAGE on this machine: latency cold, warm and sustained, peak memory, and power where the board tells.

    Each variant made for this machine runs in fresh processes of one thread. Of other devices' variants only what their
    emulator counts is shown, never a time. The evidence is added to the package's checks.json. Exit 4 where no variant can be
    profiled here.
    """
    length = _seconds(seconds)
    from modelgpt_edge.commands.profile_tables import print_report
    from modelgpt_edge.runtime.profile import profile_package

    def tell(stage: str) -> None:
        # No bar: what redraws it would take turns with what is measured.
        click.echo(f"{stage} ...", err=True)

    report = profile_package(package, variant, rows, length, tell)
    if as_json:
        print_json(report.to_json())
    else:
        print_report(report)
    for note in report.notes:
        click.echo(f"note: {note}", err=True)
    if report.unkept:
        click.echo(f"warning: {report.unkept} The figures above are right all the same", err=True)
    if report.exit_code:
        click.echo(f"error: {_failure(report)}", err=True)
    return report.exit_code


def _failure(report: Report) -> str:
    """The one line that goes with the exit code."""
    failed = [p for p in report.profiles if p.reason and p.exit_code == report.exit_code]
    if len(failed) == 1:
        return failed[0].reason
    return f"{len(failed)} variants can't be profiled here, for the reasons above: {', '.join(p.variant for p in failed)}"


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise InputError("this is no number of seconds", where="--seconds", seen=text, cure="Give a number, such as 10.")
    return value
