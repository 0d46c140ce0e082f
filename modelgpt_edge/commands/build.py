"""``modelgpt-edge build``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from modelgpt_edge.commands.options import FORCE, JSON
from modelgpt_edge.commands.printing import print_json, progress_bar, size, table
from modelgpt_edge.requirement.wording import clean, counted, figure, interval, shown

LONGEST = 100  # characters of a name from the file
MOST_DROPPED = 8

METRICS = {
    "accuracy": "accuracy: share of rows whose class is right",
    "r2": "r2: share of the values' variance that is explained; 1 is perfect, 0 no better than the mean",
    "auc": "auc: how well the classes are ranked; 1 is perfect, 0.5 chance",
    "log_loss": "log_loss: how surprised the probabilities are by the truth; 0 is perfect",
    "rmse": "rmse: typical error, in the label's unit, large ones counted more",
    "mae": "mae: mean error, in the label's unit",
}


@click.command("build")
@click.option(
    "--task",
    required=True,
    metavar="TEXT",
    help="What the model shall do, in a sentence; limits and devices named in it count.",
)
@click.option(
    "--data", required=True, type=click.Path(), metavar="FILE", help="Labelled rows: CSV, TSV, JSONL or Parquet, also .gz."
)
@click.option("--label", metavar="COLUMN", help="The column to predict; found where not given.")
@click.option("--kind", metavar="KIND", help="classification or regression; told from task and label where not given.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="DEVICE",
    help="Device to build for, may be repeated; see `targets`. Default: those the task names, else x86.",
)
@click.option("--out", type=click.Path(), metavar="FOLDER", help="Package to write. Default: the data file's name with .edge.")
@click.option("--test", type=click.Path(), metavar="FILE", help="Labelled rows for the score; cross-validated where not given.")
@click.option(
    "--draws",
    type=int,
    default=4,
    show_default=True,
    help="Draws of hidden units to merge, 1, 2 or 4: fewer are smaller and quicker.",
)
@click.option("--generator", metavar="NAME", help="floor or linear, to overrule the guard, which ships the better one.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of every random draw.")
@FORCE
@JSON
def command(
    task: str,
    data: str,
    label: str | None,
    kind: str | None,
    targets: tuple[str, ...],
    out: str | None,
    test: str | None,
    draws: int,
    generator: str | None,
    seed: int,
    force: bool,
    as_json: bool,
) -> None:
    """Make a model for a task, compile it for devices, check it, and write a package.

    \b
    modelgpt-edge build --task "predict heart disease" --data heart.csv --label target --target jetson --out heart.edge
    """
    from modelgpt_edge import build

    place = Path(data).name.removesuffix(".gz").rsplit(".", 1)[0] + ".edge" if out is None else out
    with progress_bar() as progress:
        built = build(
            task,
            data,
            label=label,
            kind=kind,
            target=targets,
            out=place,
            test=test,
            seed=seed,
            draws=draws,
            generator=generator,
            force=force,
            progress=progress,
        )
    if as_json:
        print_json(built.report)
    else:
        click.echo(_text(built.report, targets))


def _text(report: dict[str, Any], asked: tuple[str, ...]) -> str:
    requirement = report["requirement"]
    lines = [
        f"Requirement   {requirement['sentence']}",
        f"Label         {shown(requirement['label'], LONGEST)}: {requirement['label_because']}",
        f"Kind          {requirement['kind']}: {requirement['kind_because']}",
        f"Columns       {_columns(requirement['columns'])}",
        *_dropped(requirement["dropped"]),
        f"Targets       {', '.join(_resolved(t, asked) for t in requirement['targets'])}",
        f"Architecture  {_architecture(report['architecture'])}",
        f"Generator     {_generator(report['generator'])}",
        "",
        _scores(report),
        "",
        _variants(report),
        "",
        f"Checks        {_checks(report)}",
        *(f"Note          {clean(note, 500)}" for note in report["notes"]),
        f"Package       {report['package']} in {report['seconds']:.1f} s; its picture is report.svg, its story MODEL_CARD.md",
        f"Next          modelgpt-edge predict {shlex.quote(report['package'])} ROWS.csv",
    ]
    return "\n".join(lines)


def _columns(columns: list[dict[str, Any]]) -> str:
    types = [c["type"] for c in columns if c["used"]]
    kinds = (("number", "numbers"), ("category", "words"), ("date", "dates"))
    return f"{len(types):,} used: " + ", ".join(f"{types.count(t):,} of {name}" for t, name in kinds if t in types)


def _dropped(dropped: list[dict[str, Any]]) -> list[str]:
    lines = [
        f"              not used: {shown(d['name'], LONGEST)} ({clean(d['because'], 200)})" for d in dropped[:MOST_DROPPED]
    ]
    return lines if len(dropped) <= MOST_DROPPED else [*lines, f"              and {len(dropped) - MOST_DROPPED:,} more"]


def _architecture(architecture: dict[str, Any]) -> str:
    draws = counted(architecture["draws"], "draw")
    units = f"{architecture['units']} hidden units x {draws}" if architecture["units"] else "no hidden units"
    return f"{architecture['template']}: {units}, {architecture['parameters']:,} parameters"


def _resolved(target: str, asked: tuple[str, ...]) -> str:
    from modelgpt_edge.targets.registry import find_target

    alias = next((name for name in asked if find_target(name).name == target and name != target), None)
    return f"{alias} = {target}" if alias else target


def _generator(generator: dict[str, Any]) -> str:
    text = f"{generator['name']}, in {generator['seconds']:.2f} s"
    if generator["chosen_by"] == "user":
        text += ", as --generator asks"
    elif generator["name"] == "linear":
        text += ": on held-out rows the plain linear model is likelier than hidden units"
    linear = generator["blend"]["linear"]
    return text + (f", with {linear:.0%} of the linear model" if 0 < linear < 1 else "")


def _scores(report: dict[str, Any]) -> str:
    score = report["score"]
    names = [score["metric"], *score["others"]]
    baseline = "always the commonest class" if score["metric"] == "accuracy" else "always the mean"
    rows = []
    for key, title in (("score", "this model"), ("linear", "plain linear model"), ("baseline", baseline)):
        values = report[key]
        rows.append(
            [title, interval(values), *(figure(values["others"][n]) if n in values["others"] else "" for n in names[1:])]
        )
    head = ["model", f"{names[0]} [95 %]", *names[1:]]
    words = "\n".join(f"  {METRICS[n]}" for n in names)
    other = "" if report["linear"]["method"] == score["method"] else f"; the others by {report['linear']['method']}"
    return f"{table(head, rows)}\n  this model measured by {score['method']}{other} ({score['rows']:,} rows)\n{words}"


def _variants(report: dict[str, Any]) -> str:
    rows = []
    for v in report["variants"]:
        latency = f"{v['latency_us']:.0f} us" if v["latency_us"] is not None else "-"
        agreement = f"{v['agreement']:.1%}" if v["agreement"] is not None else f"{v['relative_rms']:.0e} off"
        name = f"{v['target']} {v['backend']} {v['precision']}"
        rows.append([name, size(v["bytes"]), latency, agreement, v["status"] if v["kept"] else "left out", v["because"]])
    text = table(["variant", "size", "one row", "agrees", "checked", "why"], rows, right=(1, 2, 3))
    words = "agrees: rows of the table with fp32's label, or how far values are off, root mean square"
    return f"{text}\n  one row: median time here, one thread; {words}"


def _checks(report: dict[str, Any]) -> str:
    hops = report["checks"]
    worst = max(hops, key=lambda h: h["max_abs"])
    return f"{len(hops)} hops match the fp32 reference; largest difference {worst['max_abs']:.1e} ({worst['name']})"
