"""``modelgpt-edge targets``."""

from __future__ import annotations

import click

from modelgpt_edge.commands.options import JSON
from modelgpt_edge.commands.printing import print_json, table


@click.command("targets")
@JSON
def command(as_json: bool) -> None:
    """List the devices that can be built for, and how each is checked."""
    from modelgpt_edge.targets.builtin import BACKENDS
    from modelgpt_edge.targets.registry import list_targets

    targets = list_targets()
    found = {name: backend.probe() for name, backend in BACKENDS.items()}
    if as_json:
        print_json([t.to_json() | {"available": {b: found[b].available for b in t.backends if b in found}} for t in targets])
        return
    rows = [[t.name, ", ".join(t.aliases), t.title, ", ".join(t.backends), ", ".join(t.precisions), t.checked] for t in targets]
    click.echo(table(["target", "also called", "device", "backends", "precisions", "checked"], rows))
    click.echo("  checked: whether artefacts run on this machine before they ship\n")
    for name, availability in found.items():
        state = f"works here, {availability.version}" if availability.available else f"not here: {availability.reason}"
        cure = f". {availability.how_to_get_it}" if availability.how_to_get_it else ""
        click.echo(f"{name}: {state}{cure}")
