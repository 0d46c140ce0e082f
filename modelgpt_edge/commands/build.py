"""``modelgpt-edge build``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from modelgpt_edge.commands.options import FORCE, JSON
from modelgpt_edge.commands.printing import print_json, progress_bar, size, table, time_of
from modelgpt_edge.commands.quantity import read_bytes, read_latency
from modelgpt_edge.limits import Limits
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
@click.option("--dry-run", is_flag=True, help="Tell which sizes will fit, and generate nothing; exit 5 where none does.")
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
    backends: tuple[str, ...],
    max_latency: str | None,
    max_flash: str | None,
    max_ram: str | None,
    dry_run: bool,
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
    limits = Limits(
        read_latency("--max-latency", max_latency), read_bytes("--max-flash", max_flash), read_bytes("--max-ram", max_ram)
    )
    if dry_run:
        _dry_run(task, data, label, kind, targets, backends, draws, limits, as_json)
        return
    from modelgpt_edge import build

    place = Path(data).name.removesuffix(".gz").rsplit(".", 1)[0] + ".edge" if out is None else out
    with progress_bar() as progress:
        built = build(
            task,
            data,
            label=label,
            kind=kind,
            target=targets,
            backend=backends,
            out=place,
            test=test,
            seed=seed,
            draws=draws,
            generator=generator,
            limits=limits,
            force=force,
            progress=progress,
        )
    if as_json:
        print_json(built.report)
    else:
        click.echo(_text(built.report, targets))


def _dry_run(
    task: str,
    data: str,
    label: str | None,
    kind: str | None,
    targets: tuple[str, ...],
    backends: tuple[str, ...],
    draws: int,
    limits: Limits,
    as_json: bool,
) -> None:
    """Tell what will fit; BudgetError where nothing does, after the table that shows by how much."""
    from modelgpt_edge.architecture.choice import require_fit
    from modelgpt_edge.pipeline import plan

    understood, frontier = plan(
        task, data, label=label, kind=kind, target=targets, backend=backends, draws=draws, limits=limits
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
        click.echo(f"Targets       {', '.join(_resolved(t, targets) for t in requirement.targets)}\n")
        click.echo(sizes_table(points))
        for note in understood.notes:
            click.echo(f"Note          {clean(note, 500)}")
    require_fit(understood.sizes)


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
        sizes_table(report["frontier"]),
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
        latency = _row_cost(v)
        agreement = _agreement(v)
        name = f"{v['target']} {v['backend']} {v['precision']}"
        loss = "-" if v["loss"] is None else f"{max(0.0, v['loss']):.1%}"
        state = v["status"] if v["kept"] else "left out"
        rows.append([name, size(v["bytes"]), latency, agreement, loss, state, v["because"]])
    text = table(["variant", "size", "one row", "agrees", "loss", "checked", "why"], rows, right=(1, 2, 3, 4))
    words = "agrees: rows of the table with fp32's label, or how far values are off, root mean square"
    lines = [
        text,
        "  one row: median time here, one thread, or instructions counted by the emulator",
        f"  {words}",
        "  loss: how much accuracy (or R squared) on those rows is lost to fp32",
    ]
    return "\n".join(lines)


def _row_cost(variant: dict[str, Any]) -> str:
    if variant["latency_us"] is not None:
        return time_of(variant["latency_us"])
    count = variant["profile"].get("instructions")
    return "-" if count is None else f"{count:,} instr."


def _agreement(variant: dict[str, Any]) -> str:
    if variant["agreement"] is not None:
        return f"{variant['agreement']:.1%}"
    return "-" if variant["relative_rms"] is None else f"{variant['relative_rms']:.0e} off"


def sizes_table(points: list[dict[str, Any]]) -> str:
    """The frontier for people: what every size costs and scores, and which was taken."""
    targets = list(points[0]["costs"])
    scored = points[0]["score"] is not None
    rows = []
    for p in points:
        name = f"{p['units']} units x {p['draws']}" if p["units"] else "linear"
        costs = [_cost(p["costs"][t]) for t in targets]
        score = [interval({"value": p["score"], "low": p["low"], "high": p["high"]})] if scored else []
        rows.append([name, size(p["bytes"]), *costs, *score, "taken" if p["chosen"] else "" if p["fits"] else p["over"]])
    head = ["size", "fp32", *targets, *([f"{points[0]['metric']} [95 %]"] if scored else []), ""]
    words = "  a target's columns: flash, RAM and time of one row, estimated for the smallest form that it takes"
    return table(head, rows) + "\n" + words + ("; scores: of held-out rows, the same for all" if scored else "")


def _cost(cost: dict[str, Any]) -> str:
    latency = "" if cost["latency_us"] is None else f", {time_of(cost['latency_us'])}"
    return f"{size(cost['flash_bytes'])}, {size(cost['ram_bytes'])}{latency}"


def _checks(report: dict[str, Any]) -> str:
    hops = report["checks"]
    worst = max(hops, key=lambda h: h["max_abs"] or 0.0)
    return f"{len(hops)} hops match the fp32 reference; largest difference {worst['max_abs']:.1e} ({worst['name']})"
