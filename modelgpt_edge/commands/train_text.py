"""``modelgpt-edge train text``: its checks, its progress and what it prints."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from modelgpt_edge.commands.printing import progress_bar
from modelgpt_edge.commands.train_leg import print_leg
from modelgpt_edge.errors import TargetUnavailableError


def train_texts(
    out: Path, minutes: float, encoder: str | None, seed: int, batch: int, steps: int, threads: int | None, as_json: bool
) -> None:
    """Train a leg of the generator of LoRA, and print what came of it."""
    if find_spec("tokenizers") is None:
        cure = "Install it with: pip install 'modelgpt-edge[text]'."
        raise TargetUnavailableError("training on texts needs tokenizers, which isn't installed", where="train", cure=cure)
    from modelgpt_edge.architecture.text.encoder import TextEncoder
    from modelgpt_edge.architecture.text.files import find_encoder
    from modelgpt_edge.training.text.tasks import read_tasks
    from modelgpt_edge.training.text.train import train_text

    read = TextEncoder.of(find_encoder(encoder))
    learnt, judged = read_tasks()
    with progress_bar() as progress:
        leg = train_text(
            out,
            minutes,
            read,
            learnt,
            judged,
            seed=seed,
            episodes=batch,
            steps=steps,
            threads=threads,
            say=lambda line: click.echo(line, err=True),
            progress=progress,
        )
    figures = leg.figures
    loss = "" if figures.loss is None else f"{figures.loss:.4f}; plain {figures.plain:.4f}; gain {figures.gain:+.4f}"
    print_leg(leg, out, "generator", loss, as_json)
