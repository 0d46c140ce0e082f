"""``modelgpt-edge refit``."""

from __future__ import annotations

import click

from modelgpt_edge.commands.options import FORCE, JSON, PACKAGE
from modelgpt_edge.commands.printing import print_json, progress_bar
from modelgpt_edge.requirement.wording import clean, interval


@click.command("refit")
@PACKAGE
@click.option("--data", required=True, type=click.Path(), metavar="FILE", help="Labelled rows of the same columns.")
@click.option("--out", type=click.Path(), metavar="FOLDER", help="Package to write. Default: the same one, with --force.")
@click.option("--seed", type=int, help="Seed of the random draws. Default: the package's own.")
@FORCE
@JSON
def command(package: str, data: str, out: str | None, seed: int | None, force: bool, as_json: bool) -> None:
    """Give a PACKAGE new weights from other rows, without compiling it anew.

    Encoding, size and compiled code stay; every variant is checked against the golden rows again.
    """
    from modelgpt_edge.refit import refit

    with progress_bar() as progress:
        done = refit(package, data, out=out, seed=seed, force=force, progress=progress)
    if as_json:
        print_json(done.report)
        return
    report = done.report
    score = report["score"]
    click.echo(f"Score         {score['metric']} {interval(score)}, by {score['method']} ({score['rows']:,} rows)")
    click.echo(
        f"Variants      {len(report['variants'])} refitted and checked in {report['refit_seconds']:.2f} s, none compiled"
    )
    for note in report["notes"]:
        click.echo(f"Note          {clean(note, 500)}")
    click.echo(f"Package       {report['package']} in {report['seconds']:.1f} s")
