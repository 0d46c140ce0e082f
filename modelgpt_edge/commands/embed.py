"""``modelgpt-edge embed``."""

from __future__ import annotations

import shlex
from dataclasses import asdict

import click

from modelgpt_edge.commands.options import FORCE, JSON, PACKAGE
from modelgpt_edge.commands.printing import print_json, size


@click.command("embed")
@PACKAGE
@click.option("--language", required=True, metavar="LANGUAGE", help="python, c, cpp or javascript.")
@click.option("--out", required=True, type=click.Path(), metavar="FOLDER", help="Folder to write.")
@click.option(
    "--variant", metavar="NAME", help="Variant to embed: TARGET-BACKEND-PRECISION; what suits the language without it."
)
@FORCE
@JSON
def command(package: str, language: str, out: str, variant: str | None, force: bool, as_json: bool) -> None:
    """Write a small app around a PACKAGE's model: sources that compile and run, and a README with the commands.

    The app reads rows from a CSV file or standard input and prints what predict prints; of pictures it is a page.
    """
    from modelgpt_edge.embed.app import embed
    from modelgpt_edge.embed.readme import commands
    from modelgpt_edge.requirement.wording import clean

    written = embed(package, language, out, variant, force)
    if as_json:
        print_json({**asdict(written), "path": str(written.path)})
        return
    made_of = f" ({written.variant})" if written.variant else ""
    place = clean(str(written.path), 200)
    click.echo(f"{place}: an app in {written.language}{made_of}, {len(written.files)} files, {size(written.bytes)}\n")
    for line in (f"cd {shlex.quote(place)}", *commands(written.path)):
        click.echo(f"  {line}")
