"""``modelgpt-edge inspect``."""

from __future__ import annotations

import click

from modelgpt_edge.commands.options import JSON, PACKAGE
from modelgpt_edge.commands.printing import named_lines, print_json, size, table
from modelgpt_edge.finetuning import was_finetuned
from modelgpt_edge.requirement.wording import clean, interval, shown


@click.command("inspect")
@PACKAGE
@JSON
def command(package: str, as_json: bool) -> None:
    """Show what a PACKAGE holds: task, what it takes and gives, score, variants."""
    from modelgpt_edge.runtime.opening import open_package

    manifest = open_package(package).manifest
    if as_json:
        print_json(manifest.to_json())
        return
    schema, score = manifest.requirement.schema, manifest.score["child"]
    used = set(manifest.inputs)
    columns = [[shown(c.name, 100), c.type, "yes" if c.name in used else "no", clean(c.because, 200)] for c in schema.columns]
    variants = [[v.name, size(v.bytes), v.status] for v in manifest.variants]
    shortened = ", ".join(shown(c) for c in manifest.classes[:12]) + (", ..." if len(manifest.classes) > 12 else "")
    gives = f"one of {len(manifest.classes)} classes: {shortened}" if manifest.classes else "a value"
    parameters = f"{manifest.architecture['parameters']:,} parameters"
    click.echo(f"{manifest.requirement.sentence}\n")
    if manifest.requirement.modality == "image":
        side = manifest.architecture["size"]
        click.echo(f"Takes         pictures of any size, each squashed to {side} x {side} pixels")
    else:
        click.echo(table(["column", "type", "used", "why"], columns) + "\n")
    for line in named_lines(schema.named):
        click.echo(line)
    click.echo(f"Gives         {gives}")
    click.echo(f"Score         {score['metric']} {interval(score)} by {score['method']}")
    tuned = ", fine-tuned" if was_finetuned(manifest.generator) else ""
    click.echo(f"Generator     {manifest.generator['name']}{tuned}, {parameters}, seed {manifest.seed}\n")
    click.echo(table(["variant", "size", "checked"], variants, right=(1,)))
