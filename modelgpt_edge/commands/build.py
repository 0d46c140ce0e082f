"""``modelgpt-edge build``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from modelgpt_edge.commands.build_pictures import pictures_text
from modelgpt_edge.commands.build_server import first_that_answers, require_sendable
from modelgpt_edge.commands.build_text import build_text, resolved, sizes_table
from modelgpt_edge.commands.build_texts import texts_text
from modelgpt_edge.commands.options import FORCE, JSON, TOKEN_FILE
from modelgpt_edge.commands.printing import Progress, print_json
from modelgpt_edge.errors import InputError
from modelgpt_edge.limits import Limits
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.classes_asked import read_classes
from modelgpt_edge.requirement.option_quantities import read_bytes, read_latency, read_seconds
from modelgpt_edge.requirement.wording import clean

DEFAULT_OUT = "model.edge"


@click.command("build")
@click.option(
    "--task",
    required=True,
    metavar="TEXT",
    help="What the model shall do, in a sentence; limits and devices named in it count.",
)
@click.option(
    "--data",
    type=click.Path(),
    metavar="FILE",
    help="Labelled rows or texts: CSV, TSV, JSONL, Parquet, also .gz; or class folders of pictures, also a zip.",
)
@click.option("--label", metavar="COLUMN", help="The column to predict; found where not given.")
@click.option("--kind", metavar="KIND", help="classification or regression; told from task and label where not given.")
@click.option(
    "--classes", metavar="NAMES", help="For texts and pictures: names of classes between commas; enough without any data."
)
@click.option(
    "--class", "described", multiple=True, metavar="'NAME: MEANING'", help="A class and what it means, may be repeated."
)
@click.option(
    "--text", multiple=True, metavar="COLUMN", help="The column of texts. Default: told from the data, if there is one."
)
@click.option(
    "--encoder",
    metavar="NAME",
    help="Encoder of texts: a folder or hub name; of pictures: a file of weights or ONNX, or timm:NAME; or tiny. "
    "Default: MiniLM-L6, EfficientNet-Lite0.",
)
@click.option("--size", type=int, metavar="PIXELS", help="Of pictures: a side of what goes in: 224, 128, 96. Default: chosen.")
@click.option("--unlabelled", type=click.Path(), metavar="FOLDER", help="Pictures without labels, like those it will see.")
@click.option("--modality", metavar="KIND", help="table, text or image; told from data and task where not given.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="DEVICE",
    help="Device to build for, may be repeated; see `targets`. Default: those the task names, else x86.",
)
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="NAME",
    help="Backend to compile by, may be repeated; see `targets`. Default: each target's usual ones.",
)
@click.option("--max-latency", metavar="TIME", help="Longest one row may take, such as 5ms; overrules the task's text.")
@click.option("--max-flash", metavar="SIZE", help="Most bytes the model may take on the device, such as 64kB.")
@click.option("--max-ram", metavar="SIZE", help="Most working memory it may take, such as 16kB.")
@click.option(
    "--driver",
    default="rules",
    metavar="DRIVER",
    help="Have a language model help to understand the task: openai:URL#MODEL, transformers:NAME or gguf:FILE.",
)
@click.option("--private", is_flag=True, help="Show the driver's model no value of any row: names, types and counts only.")
@click.option("--show-prompt", is_flag=True, help="Print what the driver's model would be sent, and do nothing else.")
@click.option("--dry-run", is_flag=True, help="Tell which sizes will fit, and generate nothing; exit 5 where none does.")
@click.option("--out", type=click.Path(), metavar="FOLDER", help="Package to write. Default: the data file's name with .edge.")
@click.option("--test", type=click.Path(), metavar="FILE", help="Labelled rows for the score; cross-validated where not given.")
@click.option(
    "--draws",
    type=int,
    default=4,
    show_default=True,
    help="Draws of hidden units that the model is distilled from, 1, 2 or 4: fewer are quicker.",
)
@click.option(
    "--generator",
    metavar="NAME",
    help="floor, linear or trained; of texts words, linear, floor or lora; of pictures words, linear, floor, stages or shapes. "
    "Default: what held-out rows favour.",
)
@click.option(
    "--finetune",
    default="0",
    metavar="SECONDS",
    help="Fine-tune the generated model for so long, and ship it where held-out rows gain; the result depends on the clock.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of every random draw.")
@click.option("--server", metavar="URL", help="Build on this server, which `serve` started, and fetch the package.")
@TOKEN_FILE
@click.option("--fallback", is_flag=True, help="Build here where the server can't be reached or is busy, and say so.")
@FORCE
@JSON
def command(
    task: str,
    data: str | None,
    label: str | None,
    kind: str | None,
    classes: str | None,
    described: tuple[str, ...],
    text: tuple[str, ...],
    encoder: str | None,
    size: int | None,
    unlabelled: str | None,
    modality: str | None,
    targets: tuple[str, ...],
    backends: tuple[str, ...],
    max_latency: str | None,
    max_flash: str | None,
    max_ram: str | None,
    driver: str,
    private: bool,
    show_prompt: bool,
    dry_run: bool,
    out: str | None,
    test: str | None,
    draws: int,
    generator: str | None,
    finetune: str,
    seed: int,
    server: str | None,
    token_file: str | None,
    fallback: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Make a model for a task, compile it for devices, check it, and write a package.

    \b
    modelgpt-edge build --task "predict heart disease" --data heart.csv --label target --target jetson --out heart.edge
    modelgpt-edge build --task "route bank support questions" --classes "card lost,refund,exchange rate"
    """
    named = read_classes(classes, described)
    limits = Limits(
        read_latency("--max-latency", max_latency), read_bytes("--max-flash", max_flash), read_bytes("--max-ram", max_ram)
    )
    seconds = read_seconds("--finetune", finetune)
    if server is None and fallback:
        raise InputError("there is no server to fall back from", where="--fallback", cure="Give --server URL as well.")
    asked = Request(
        task,
        data,
        label,
        kind,
        classes=named,
        texts=text,
        encoder=encoder,
        driver=driver,
        private=private,
        modality=modality,
        size=size,
        unlabelled=unlabelled,
    )
    if server is not None:
        require_sendable(asked, show_prompt, dry_run)
    if show_prompt:
        from modelgpt_edge.commands.prompts import prompts_text

        click.echo(prompts_text(asked))
        return
    if dry_run:
        if data is None and named:
            from modelgpt_edge.pipeline import only_tables

            raise only_tables("classes without data")
        if data is None:
            raise InputError("this option needs data", where="--dry-run", cure="Give --data FILE.")
        _dry_run(task, data, label, kind, targets, backends, draws, limits, driver, private, as_json)
        return
    place = _named_after(data) if out is None else out

    def locally(progress: Progress) -> dict[str, Any]:
        from modelgpt_edge import build

        return build(
            task,
            data,
            label=label,
            kind=kind,
            classes=named,
            text=text,
            encoder=encoder,
            size=size,
            unlabelled=unlabelled,
            modality=modality,
            target=targets,
            backend=backends,
            out=place,
            test=test,
            seed=seed,
            draws=draws,
            generator=generator,
            finetune=seconds,
            limits=limits,
            driver=driver,
            private=private,
            force=force,
            progress=progress,
        ).report

    def remotely(url: str, progress: Progress) -> dict[str, Any]:
        from modelgpt_edge.server.client import Server, build_remotely
        from modelgpt_edge.server.token import read_token

        options: dict[str, str | int | Sequence[str] | None] = {
            **{"task": task, "label": label, "kind": kind, "modality": modality},
            **{"classes": classes, "class": described, "text": text},
            **{"target": targets, "backend": backends, "draws": draws},
            **{"max_latency": max_latency, "max_flash": max_flash, "max_ram": max_ram},
            **{"generator": generator, "finetune": finetune, "seed": seed},
        }
        files = {name: Path(file) for name, file in (("data", data), ("test", test)) if file is not None}
        return build_remotely(Server(url, read_token(token_file)), options, files, Path(place), force, progress)

    report = first_that_answers(server, fallback, locally, remotely)
    if as_json:
        print_json(report)
    else:
        told = {"table": build_text, "text": texts_text, "image": pictures_text}
        click.echo(told[report["requirement"]["modality"]](report, targets))


def _named_after(data: str | None) -> str:
    """Where a package goes that nothing is said of."""
    return DEFAULT_OUT if data is None else Path(data).name.removesuffix(".gz").rsplit(".", 1)[0] + ".edge"


def _dry_run(
    task: str,
    data: str,
    label: str | None,
    kind: str | None,
    targets: tuple[str, ...],
    backends: tuple[str, ...],
    draws: int,
    limits: Limits,
    driver: str,
    private: bool,
    as_json: bool,
) -> None:
    """Tell what will fit; BudgetError where nothing does, after the table that shows by how much."""
    from modelgpt_edge import plan
    from modelgpt_edge.architecture.choice import require_fit

    understood, frontier = plan(
        task,
        data,
        label=label,
        kind=kind,
        target=targets,
        backend=backends,
        draws=draws,
        limits=limits,
        driver=driver,
        private=private,
    )
    points = [point.to_json() for point in frontier]
    requirement = understood.requirement
    if as_json:
        print_json(
            {
                "requirement": {"sentence": requirement.sentence, "targets": list(requirement.targets)},
                "frontier": points,
                "fits": any(p["fits"] for p in points),
                "notes": list(understood.notes),
            }
        )
    else:
        click.echo(f"Requirement   {requirement.sentence}")
        click.echo(f"Targets       {', '.join(resolved(t, targets) for t in requirement.targets)}\n")
        click.echo(sizes_table(points))
        fitting = [p for p in points if p["fits"]]
        click.echo(f"\nFits          {len(fitting)} of {len(points)} sizes, by these estimates" if fitting else "")
        for note in understood.notes:
            click.echo(f"Note          {clean(note, 500)}")
    require_fit(understood.sizes)
