"""``modelgpt-edge train images``: its checks, its progress and what it prints."""

from __future__ import annotations

from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelgpt_edge.commands.printing import print_json, progress_bar, size
from modelgpt_edge.errors import TargetUnavailableError

if TYPE_CHECKING:
    from modelgpt_edge.training.image.figures import ImageLeg


def train_pictures(out: Path, minutes: float, seed: int, batch: int, steps: int, threads: int | None, as_json: bool) -> None:
    """Train a leg of the tiny trunk, and print what came of it."""
    if find_spec("PIL") is None:
        cure = "Install it with: pip install 'modelgpt-edge[images]'."
        raise TargetUnavailableError("training on pictures needs Pillow, which isn't installed", where="train", cure=cure)
    from modelgpt_edge.training.image.pictures import find_pictures, read_pictures

    path = find_pictures()
    from modelgpt_edge.training.image.train import train_images

    with progress_bar() as progress:
        learnt, kept = read_pictures(path, lambda share: progress("reading pictures", share))
        leg = train_images(
            out,
            minutes,
            learnt,
            kept,
            seed=seed,
            batch=batch,
            steps=steps,
            threads=threads,
            say=lambda line: click.echo(line, err=True),
            progress=progress,
        )
    if as_json:
        told = asdict(leg) | {"checkpoint": str(leg.checkpoint), "trunk": str(leg.trunk)}
        told["bytes"] = told.pop("size")
        print_json({"out": str(out), **told})
    else:
        click.echo(_told(leg))


def _told(leg: ImageLeg) -> str:
    figures = leg.figures
    lines = [f"Steps         {leg.steps:,} in this leg, {figures.step:,} of {leg.planned:,} in all, on {leg.device}"]
    if figures.loss is not None and figures.right is not None:
        drawn = "" if figures.drawn_loss is None else f"; of drawn pictures {figures.drawn_loss:.4f}"
        lines.append(f"Loss          {figures.loss:.4f}, {100 * figures.right:.1f} % right{drawn}")
    lines += [f"Apart         {score.line()}" for score in leg.scores]
    lines += [f"Note          {note}" for note in leg.notes]
    lines.append(f"Trunk         {leg.trunk}, {size(leg.size)} in float16")
    saved = "saved after the interrupt" if leg.interrupted else "saved"
    more = "all steps are taken" if figures.step >= leg.planned else "the same command goes on from it"
    lines.append(f"Checkpoint    {leg.checkpoint}, {saved}; {more}")
    return "\n".join(lines)
