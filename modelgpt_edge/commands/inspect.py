"""``modelgpt-edge inspect``."""

from __future__ import annotations

import click

from modelgpt_edge.commands.options import JSON, PACKAGE
from modelgpt_edge.commands.printing import print_json, size, table


@click.command("inspect")
@PACKAGE
@JSON
def command(package: str, as_json: bool) -> None:
    """Show what a PACKAGE holds: task, columns, score, variants."""
    from modelgpt_edge.runtime.opening import open_package

    manifest = open_package(package).manifest
    if as_json:
        print_json(manifest.to_json())
        return
    schema, score = manifest.requirement.schema, manifest.score["child"]
    used = set(manifest.inputs)
    columns = [[c.name, c.type, "yes" if c.name in used else "no", c.because] for c in schema.columns]
    variants = [[v.name, size(v.bytes), v.status] for v in manifest.variants]
    classes = ", ".join(manifest.classes[:12]) + (", ..." if len(manifest.classes) > 12 else "")
    click.echo(f"{manifest.requirement.sentence}\n")
    click.echo(table(["column", "type", "used", "why"], columns) + "\n")
    click.echo(f"Gives         {f'one of {len(manifest.classes)} classes: {classes}' if classes else 'a value'}")
    click.echo(
        f"Score         {score['metric']} {score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}] by {score['method']}"
    )
    click.echo(
        f"Generator     {manifest.generator['name']}, {manifest.architecture['parameters']:,} parameters, seed {manifest.seed}\n"
    )
    click.echo(table(["variant", "size", "checked"], variants, right=(1,)))
