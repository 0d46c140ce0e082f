"""A build's report as text: what was understood, how good the model is, what was compiled and what each size costs."""

from __future__ import annotations

import shlex
from typing import Any

from modelgpt_edge.commands.printing import named_lines, size, table, time_of
from modelgpt_edge.finetuning import finetuning_told
from modelgpt_edge.requirement.wording import clean, counted, figure, interval, shown

LONGEST = 100  # characters of a name from the file
MOST_DROPPED = 8

METRICS = {
    "accuracy": "accuracy: share of {unit}s whose class is right",
    "r2": "r2: share of the values' variance that is explained; 1 is perfect, 0 no better than the mean",
    "auc": "auc: how well the classes are ranked; 1 is perfect, 0.5 chance",
    "log_loss": "log_loss: how surprised the probabilities are by the truth; 0 is perfect",
    "rmse": "rmse: typical error, in the label's unit, large ones counted more",
    "mae": "mae: mean error, in the label's unit",
}


def build_text(report: dict[str, Any], asked: tuple[str, ...]) -> str:
    """What `build` prints: its report for people.

    Args:
        asked: the targets as they were named, to show what an alias stands for.
    """
    requirement = report["requirement"]
    lines = [
        f"Requirement   {requirement['sentence']}",
        f"Label         {shown(requirement['label'], LONGEST)}: {requirement['label_because']}",
        f"Kind          {requirement['kind']}: {requirement['kind_because']}",
        f"Columns       {_columns(requirement['columns'])}",
        *named_lines([c["name"] for c in requirement["columns"] if c["named"]]),
        *_dropped(requirement["dropped"]),
        f"Targets       {', '.join(resolved(t, asked) for t in requirement['targets'])}",
        f"Architecture  {_architecture(report['architecture'])}",
        f"Generator     {_generator(report)}",
        *_finetuning(report),
        "",
        scores_table(report, "plain linear model"),
        "",
        variants_table(report),
        "",
        sizes_table(report["frontier"]),
        "",
        *(_budget(report["frontier"]) if report["limited"] else []),
        f"Checks        {checks_line(report)}",
        *(f"Note          {clean(note, 500)}" for note in report["notes"]),
        f"Package       {report['package']} in {report['seconds']:.1f} s; its picture is report.svg, its story MODEL_CARD.md",
        *(f"Next          {line}" for line in _next(report)),
    ]
    return "\n".join(lines)


def _next(report: dict[str, Any]) -> list[str]:
    """What to do with the package, by its targets."""
    package = shlex.quote(report["package"])
    lines: dict[str, None] = {}
    for target in report["requirement"]["targets"]:
        if target.startswith("cortex-m"):
            lines[f"modelgpt-edge embed {package} --language c --out app"] = None
        elif target.startswith("jetson"):
            lines[f"on the board: modelgpt-edge finalize {package}"] = None
        elif target == "browser":
            lines[f"modelgpt-edge embed {package} --language javascript --out app"] = None
    return [f"modelgpt-edge predict {package} ROWS.csv", *lines]


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
    units = f"{architecture['units']:,} hidden units, distilled from {draws}" if architecture["units"] else "no hidden units"
    return f"{architecture['template']}: {units}, {architecture['parameters']:,} parameters"


def resolved(target: str, asked: tuple[str, ...]) -> str:
    """A target with the alias that it was asked for by."""
    from modelgpt_edge.targets.registry import find_target

    alias = next((name for name in asked if find_target(name).name == target and name != target), None)
    return f"{alias} = {target}" if alias else target


def _generator(report: dict[str, Any]) -> str:
    """Which generator ships, and by what it won: the measure that the guard compares."""
    generator, measure = report["generator"], "smoothed log loss"
    if report["requirement"]["kind"] == "regression":
        measure = "squared error of standardised values"
    text = f"{generator['name']}, in {generator['seconds']:.2f} s"
    text += {"user": ", as --generator asks", "limits": ": the limits leave no hidden unit"}.get(generator["chosen_by"], "")
    linear = generator["blend"]["linear"]
    text += f", with {linear:.0%} of the linear model" if 0 < linear < 1 else ""
    return text + losses_told(generator, f"{measure} on held-out rows")


def losses_told(generator: dict[str, Any], measure: str) -> str:
    """What the generator that ships was held against, its own loss first; "" where nothing was measured."""
    losses, own = generator["losses"], generator["name"]
    if not losses:
        return ""
    return f": {measure} " + ", ".join([f"{losses[own]:.4f}", *(f"{k} {loss:.4f}" for k, loss in losses.items() if k != own)])


def _finetuning(report: dict[str, Any]) -> list[str]:
    figures = report["generator"]["finetune"]
    classification = report["requirement"]["kind"] == "classification"
    return [] if figures is None else [f"Fine-tuning   {finetuning_told(figures, classification)}"]


def scores_table(report: dict[str, Any], linear: str, unit: str = "row") -> str:
    """Scores of the model, of the linear one, whatever it is called, and of the baseline; with a line on each metric.

    Args:
        unit: what is counted.
    """
    score = report["score"]
    names = [score["metric"], *score["others"]]
    baseline = "always the commonest class" if score["metric"] == "accuracy" else "always the mean"
    rows = []
    for key, title in (("score", "this model"), ("linear", linear), ("baseline", baseline)):
        values = report[key]
        if values["value"] is None:
            continue
        rows.append(
            [title, interval(values), *(figure(values["others"][n]) if n in values["others"] else "" for n in names[1:])]
        )
    head = ["model", f"{names[0]} [95 %]", *names[1:]]
    words = "\n".join(f"  {METRICS[n].format(unit=unit)}" for n in names)
    linear_by = report["linear"]["method"]
    other = "" if linear_by == score["method"] or report["linear"]["value"] is None else f"; the others by {linear_by}"
    return f"{table(head, rows)}\n  this model measured by {score['method']}{other} ({counted(score['rows'], unit)})\n{words}"


def variants_table(report: dict[str, Any], unit: str = "row") -> str:
    """Every compiled form: its size, RAM where it is known of one, time, what it loses, how it was checked and why it is kept.

    Args:
        unit: what it runs on, one at a time: a row of a table, or a picture.
    """
    rows = []
    told = any("ram_bytes" in v for v in report["variants"])
    for v in report["variants"]:
        ram = [size(v["ram_bytes"]) if "ram_bytes" in v else "-"] if told else []
        latency = _row_cost(v)
        agreement = _agreement(v)
        name = f"{v['target']} {v['backend']} {v['precision']}"
        loss = "-" if v["loss"] is None else f"{max(0.0, v['loss']):.1%}"
        state = v["status"] if v["kept"] else "left out"
        rows.append([name, size(v["bytes"]), *ram, latency, agreement, loss, state, v["because"]])
    head = ["variant", "size", *(["RAM"] if told else []), f"one {unit}", "agrees", "loss", "checked", "why"]
    text = table(head, rows, right=range(1, len(head) - 2))
    words, loss = f"agrees: {unit}s at hand with fp32's label; new ones may agree less often", "accuracy"
    if unit == "row":
        words = "agrees: rows of the table with fp32's label, or how far values are off, root mean square"
        loss = "accuracy (or R squared)"
    lines = [
        text,
        *(["  RAM: working memory of a call"] if told else []),
        f"  one {unit}: median time here, one thread, or instructions counted by the emulator",
        f"  {words}",
        f"  loss: how much {loss} on those {unit}s is lost to fp32",
    ]
    return "\n".join(lines)


def _row_cost(variant: dict[str, Any]) -> str:
    if variant["latency_us"] is not None:
        return time_of(variant["latency_us"])
    count = variant["profile"].get("instructions_per_row")
    return "-" if count is None else f"{count:,} instr."


def _agreement(variant: dict[str, Any]) -> str:
    if variant["agreement"] is not None:
        return f"{variant['agreement']:.1%}"
    return "-" if variant["relative_rms"] is None else f"{variant['relative_rms']:.0e} off"


def sizes_table(points: list[dict[str, Any]]) -> str:
    """The frontier for people: what every size costs and scores, and which was taken."""
    targets = list(points[0]["costs"])
    metric = next((p["metric"] for p in points if p["metric"]), None)
    rows = []
    for p in points:
        costs = [_cost(p["costs"][t]) for t in targets]
        known = {"value": p["score"], "low": p["low"], "high": p["high"]}
        score = [] if metric is None else ["-" if p["score"] is None else interval(known)]
        rows.append(
            [_size_name(p), size(p["bytes"]), *costs, *score, "taken" if p["chosen"] else "" if p["fits"] else p["over"]]
        )
    head = ["size", "fp32", *targets, *([] if metric is None else [f"{metric} [95 %]"]), ""]
    words = ["  a target's columns: flash, RAM and time of one row, estimated for the smallest form that it takes"]
    if metric is not None:
        words.append("  scores: of held-out rows, the same for every size; a size taken without comparing has the model's own")
    return "\n".join([table(head, rows), *words])


_LOSSES = {"accuracy": "log loss", "r2": "squared error"}


def _budget(points: list[dict[str, Any]]) -> list[str]:
    """What a budget costs: the size that was taken beside the one that would have been without it."""
    taken = next(p for p in points if p["chosen"])
    compared = [p for p in points if p["loss"] is not None]
    if taken["loss"] is None or taken is compared[0]:
        return []
    pair = [
        f"{_size_name(p)} {p['metric']} {figure(p['score'])}, {_LOSSES[p['metric']]} {figure(p['loss'])}"
        for p in (taken, compared[0])
    ]
    return [f"Budget        {pair[0]}; the largest compared: {pair[1]} (the same held-out rows)"]


def _size_name(point: dict[str, Any]) -> str:
    return f"{point['units']:,} units" if point["units"] else "linear"


def _cost(cost: dict[str, Any]) -> str:
    latency = "" if cost["latency_us"] is None else f", {time_of(cost['latency_us'])}"
    return f"{size(cost['flash_bytes'])}, {size(cost['ram_bytes'])}{latency}"


def checks_line(report: dict[str, Any]) -> str:
    """How near every form is to the reference."""
    hops = report["checks"]
    worst = max(hops, key=lambda h: h["max_abs"] or 0.0)
    return f"{len(hops)} hops match the fp32 reference; largest difference {worst['max_abs']:.1e} ({worst['name']})"
