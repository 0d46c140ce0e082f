"""``modelgpt-edge targets``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from modelgpt_edge.commands.options import JSON
from modelgpt_edge.commands.printing import print_json, size, table

if TYPE_CHECKING:
    from modelgpt_edge.targets.backend import Availability
    from modelgpt_edge.targets.target import Target


@click.command("targets")
@JSON
def command(as_json: bool) -> None:
    """List the devices that can be built for, and how each is checked on this machine."""
    from modelgpt_edge.targets.backends import BACKENDS, EMULATORS
    from modelgpt_edge.targets.listing import checked_here, described
    from modelgpt_edge.targets.registry import list_targets

    targets = list_targets()
    backends = {name: backend.probe() for name, backend in BACKENDS.items()}
    emulators = {name: emulator.probe() for name, emulator in EMULATORS.items()}
    if as_json:
        print_json(described(targets, backends, emulators))
        return

    def limits(target: Target) -> str:
        sizes = [f"{size(n)} {what}" for n, what in ((target.flash_bytes, "flash"), (target.ram_bytes, "RAM")) if n]
        return ", ".join(sizes)

    rows = [
        [t.name, ", ".join(t.aliases), t.title, ", ".join(t.backends), limits(t), checked_here(t, emulators)] for t in targets
    ]
    click.echo(table(["target", "also called", "device", "backends", "at least", "checked here"], rows))
    click.echo("  backends: in order of preference; at least: what a small device of the name has, a build's budget")
    click.echo("  checked here: whether artefacts run before they ship, on this machine or in an emulator\n")
    missing: Mapping[str, Availability] = {**backends, **emulators}
    for name, found in missing.items():
        state = f"works here, {found.version}" if found.available else f"not here: {found.reason}"
        click.echo(f"{name}: {state}{f'. {found.how_to_get_it}' if found.how_to_get_it else ''}")
