"""``modelgpt-edge doctor``."""

from __future__ import annotations

from dataclasses import asdict

import click

from modelgpt_edge.commands.options import JSON
from modelgpt_edge.commands.printing import print_json, progress_bar, table


@click.command("doctor")
@click.option("--setup", metavar="EMULATOR", help="Download an emulator's files into the cache: aarch64 or browser.")
@JSON
def command(setup: str | None, as_json: bool) -> int:
    """Tell what works on this machine, what is missing, and the line that cures it.

    Exit 4 where something that every use needs is missing or broken.
    """
    if setup is not None:
        from modelgpt_edge.targets.setup import set_up

        with progress_bar() as progress:
            place = set_up(setup, progress)
        if as_json:
            print_json({"setup": setup, "folder": str(place)})
        else:
            click.echo(f"{setup} is set up in {place}")
        return 0
    from modelgpt_edge.targets.doctor import diagnose

    findings = diagnose()
    if as_json:
        print_json([asdict(f) for f in findings])
    else:
        click.echo(
            table(["what", "state", "found", "needed for"], [[f.name, f.state, f.detail, f.needed_for] for f in findings])
        )
        cures = [f for f in findings if f.cure]
        if cures:
            click.echo("\nTo mend:")
        for finding in cures:
            click.echo(f"  {finding.name}: {finding.cure}")
    return 4 if any(f.required and f.state != "ok" for f in findings) else 0
