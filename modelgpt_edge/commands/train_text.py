"""``modelgpt-edge train text``: its checks, its progress and what it prints."""

from __future__ import annotations

from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelgpt_edge.commands.printing import print_json, progress_bar, size
from modelgpt_edge.errors import TargetUnavailableError

if TYPE_CHECKING:
    from modelgpt_edge.training.text.figures import TextLeg


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
    if as_json:
        told = asdict(leg) | {"checkpoint": str(leg.checkpoint), "generator": str(leg.generator)}
        told["bytes"] = told.pop("size")
        print_json({"out": str(out), **told})
    else:
        click.echo(_told(leg))


def _told(leg: TextLeg) -> str:
    figures = leg.figures
    lines = [f"Steps         {leg.steps:,} in this leg, {figures.step:,} of {leg.planned:,} in all, on {leg.device}"]
    if figures.loss is not None:
        lines.append(f"Loss          {figures.loss:.4f}; plain {figures.plain:.4f}; gain {figures.gain:+.4f}")
    lines += [f"Apart         {score.line()}" for score in leg.scores]
    lines += [f"Note          {note}" for note in leg.notes]
    lines.append(f"Generator     {leg.generator}, {size(leg.size)} in float16")
    saved = "saved after the interrupt" if leg.interrupted else "saved"
    more = "all steps are taken" if figures.step >= leg.planned else "the same command goes on from it"
    lines.append(f"Checkpoint    {leg.checkpoint}, {saved}; {more}")
    return "\n".join(lines)
