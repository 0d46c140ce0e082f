"""What ``modelgpt-edge train`` prints of a leg, whatever was trained."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from modelgpt_edge.commands.printing import print_json, size

if TYPE_CHECKING:
    from modelgpt_edge.training.leg import LegDone


def print_leg(leg: LegDone[Any, Any], out: Path, what: str, loss: str, as_json: bool) -> None:
    """Print a leg, for people or for machines.

    Args:
        what: was exported, as ``generator``; loss: of its steps in words, "" without any.
    """
    if as_json:
        told = asdict(leg) | {"checkpoint": str(leg.checkpoint), what: str(leg.exported), "bytes": leg.size}
        print_json({"out": str(out), **{key: value for key, value in told.items() if key not in ("exported", "size")}})
        return
    lines = [f"Steps         {leg.steps:,} in this leg, {leg.reached:,} of {leg.planned:,} in all, on {leg.device}"]
    lines += [f"Loss          {loss}"] if loss else []
    lines += [f"Apart         {score.line()}" for score in leg.scores]
    lines += [f"Note          {note}" for note in leg.notes]
    lines.append(f"{what.capitalize():<14}{leg.exported}, {size(leg.size)} in float16")
    saved = "saved after the interrupt" if leg.interrupted else "saved"
    more = "all steps are taken" if leg.reached >= leg.planned else "the same command goes on from it"
    lines.append(f"Checkpoint    {leg.checkpoint}, {saved}; {more}")
    click.echo("\n".join(lines))
