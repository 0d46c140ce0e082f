"""``modelgpt-edge train images``: its checks, its progress and what it prints."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from modelgpt_edge.commands.printing import progress_bar
from modelgpt_edge.commands.train_leg import print_leg
from modelgpt_edge.errors import TargetUnavailableError


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
    figures, loss = leg.figures, ""
    if figures.loss is not None and figures.right is not None:
        drawn = "" if figures.drawn_loss is None else f"; of drawn pictures {figures.drawn_loss:.4f}"
        loss = f"{figures.loss:.4f}, {100 * figures.right:.1f} % right{drawn}"
    print_leg(leg, out, "trunk", loss, as_json)
