"""``modelgpt-edge train``."""

from __future__ import annotations

import math
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelgpt_edge.commands.options import JSON
from modelgpt_edge.commands.printing import print_json, size
from modelgpt_edge.errors import InputError, TargetUnavailableError, nearest

if TYPE_CHECKING:
    from modelgpt_edge.training.figures import Leg

GENERATORS = ("tabular", "text", "images")
# Options that hold for some alone, and what stands for a number that isn't given, by what is trained.
ONLY = {
    "tables_ahead": ("tabular",),
    "rows": ("tabular",),
    "columns": ("tabular",),
    "encoder": ("text",),
    "steps": ("text", "images"),
}
BATCH, STEPS = {"tabular": 16, "text": 1, "images": 128}, {"tabular": 0, "text": 4000, "images": 8000}
LEARN = "Install it with: pip install 'modelgpt-edge[learn]'."


@click.command("train")
@click.argument("generator", metavar="tabular|text|images")
@click.option(
    "--minutes", required=True, metavar="N", help="Length of this leg; of tables, 0 draws them ahead and trains nothing."
)
@click.option(
    "--out",
    type=click.Path(),
    metavar="FOLDER",
    help="Where the training is kept; one that lies there goes on. Default: tabular-training, and so on.",
)
@click.option(
    "--tables-ahead", type=int, default=640, show_default=True, metavar="N", help="Tables that the background keeps ready."
)
@click.option(
    "--threads", type=int, metavar="N", help="Cores to train with; others draw tables. Default: all; of tables 1 by a GPU."
)
@click.option(
    "--rows", type=int, default=600, show_default=True, metavar="N", help="Most rows of a table to learn from, 24 at least."
)
@click.option("--columns", type=int, default=40, show_default=True, metavar="N", help="Most columns of a table.")
@click.option("--batch", type=int, metavar="N", help="Of a step. Default: 16 tables, 1 task of texts, 128 pictures.")
@click.option(
    "--steps", type=int, metavar="N", help="Of texts and images: steps of the whole training. Default: 4,000 and 8,000."
)
@click.option("--encoder", metavar="NAME", help="Of texts: the sentence encoder, a folder or hub name. Default: MiniLM-L6.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of every random draw.")
@JSON
def command(
    generator: str,
    minutes: str,
    out: str | None,
    tables_ahead: int,
    threads: int | None,
    rows: int,
    columns: int,
    batch: int | None,
    steps: int | None,
    encoder: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Train a generator, or the tiny trunk for images, in legs: the same command goes on where it stopped.

    \b
    modelgpt-edge train tabular --minutes 10
    modelgpt-edge train text --minutes 60
    modelgpt-edge train images --minutes 60

    Of tables, on synthetic ones that are drawn meanwhile; of texts, the generator of LoRA for a sentence encoder, on tasks from
    the labelled texts in MODELGPT_EDGE_DATA; of images, on its CIFAR-10 and on drawn shapes. Runs on CPU cores or one GPU; of
    tables on several by torchrun -m modelgpt_edge train. Ctrl-C saves, and stops.
    """
    if generator not in GENERATORS:
        raise InputError("there is no such generator", where="train", seen=generator, cure=nearest(generator, GENERATORS))
    length = _minutes(minutes)
    given = click.get_current_context().get_parameter_source
    for name, owners in ONLY.items():
        if generator not in owners and given(name) is not click.core.ParameterSource.DEFAULT:
            cure = f"Leave it out, or train {' or '.join(owners)}."
            raise InputError(
                "this option is for another generator", where=f"--{name.replace('_', '-')}", seen=generator, cure=cure
            )
    batch = BATCH[generator] if batch is None else batch
    steps = STEPS[generator] if steps is None else steps
    place = Path(f"{generator}-training" if out is None else out)
    for name, value, least in (
        ("--tables-ahead", tables_ahead, 1),
        ("--threads", threads, 1),
        ("--rows", rows, 24),
        ("--columns", columns, 1),
        ("--batch", batch, 1),
        ("--steps", steps, 0 if generator == "tabular" else 1),
        ("--seed", seed, 0),
    ):
        if value is not None and value < least:
            raise InputError("this is too few", where=name, seen=value, cure=f"Give {least:,} or more.")
    for package in ("torch", "threadpoolctl"):
        if find_spec(package) is None:
            raise TargetUnavailableError(f"training needs {package}, which isn't installed", where="train", cure=LEARN)
    if generator == "text":
        from modelgpt_edge.commands.train_text import train_texts

        train_texts(place, length, encoder, seed, batch, steps, threads, as_json)
        return
    if generator == "images":
        from modelgpt_edge.commands.train_images import train_pictures

        train_pictures(place, length, seed, batch, steps, threads, as_json)
        return
    from modelgpt_edge.training.shards import Recipe
    from modelgpt_edge.training.train import train_tabular

    recipe = Recipe(seed, rows, columns, batch)
    leg = train_tabular(place, length, recipe, tables_ahead=tables_ahead, threads=threads, say=_say)
    if leg is not None:
        if as_json:
            print_json({"out": str(place), **_json(leg)})
        else:
            _print(leg)


def _minutes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise InputError("this is no number of minutes", where="--minutes", seen=text, cure="Give a number, such as 10.")
    return value


def _say(line: str) -> None:
    click.echo(line, err=True)


def _json(leg: Leg) -> dict[str, object]:
    told = asdict(leg) | {"checkpoint": str(leg.checkpoint), "generator": str(leg.generator) if leg.size else None}
    told["bytes"] = told.pop("size")
    return told


def _print(leg: Leg) -> None:
    figures = leg.figures
    if not leg.size:
        click.echo("Tables        drawn ahead; nothing was trained")
        return
    click.echo(f"Steps         {leg.steps:,} in this leg, {figures.step:,} in all, on {leg.device}")
    if leg.processes > 1:
        click.echo(f"Processes     {leg.processes}")
    click.echo(f"Tables        {figures.tables:,} seen in all, {figures.tables_per_second:.1f} a second")
    if figures.loss is not None:
        click.echo(
            f"Loss          {figures.loss:.4f}; the floor's on the same rows {figures.floor:.4f}; gain {figures.gain:+.4f}"
        )
    for note in leg.notes:
        click.echo(f"Note          {note}")
    click.echo(f"Generator     {leg.generator}, {size(leg.size)} in float16")
    saved = "saved after the interrupt" if leg.interrupted else "saved"
    click.echo(f"Checkpoint    {leg.checkpoint}, {saved}; the same command goes on from it")
