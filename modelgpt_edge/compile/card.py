"""The model card: the manifest in words, for people."""

from __future__ import annotations

import re
from collections.abc import Sequence

from modelgpt_edge.compile.candidate import Candidate
from modelgpt_edge.finetuning import finetuning_told, was_finetuned
from modelgpt_edge.manifest import MANIFEST, REPORT, Manifest
from modelgpt_edge.requirement.wording import clean, counted, figure, interval

MOST_COLUMNS = 100
MOST_CLASSES = 10


def model_card(manifest: Manifest, candidates: Sequence[Candidate], notes: tuple[str, ...]) -> str:
    """MODEL_CARD.md of a package.

    Args:
        candidates: the compiled forms, kept or not.
        notes: what the user should know of the data and the request.
    """
    return "\n".join(
        [
            f"# Predicts {safe(manifest.requirement.schema.label.name)}",
            "",
            safe(manifest.requirement.sentence, 400),
            "",
            f"![Held-out predictions]({REPORT})",
            "",
            "## How good it is",
            "",
            *score_lines(manifest, "plain linear model"),
            "",
            "## What it takes and gives",
            "",
            *_columns(manifest),
            "",
            "## How it was made",
            "",
            *_making(manifest),
            "",
            "## Variants",
            "",
            *variant_lines(candidates),
            "",
            "## What to mind",
            "",
            "* It has learnt from the rows given and knows nothing else: rows unlike those are answered all the same.",
            "* Words that it has never seen count as no word at all; missing numbers take the column's median.",
            *(f"* {safe(note, 500)}" for note in notes),
            "",
        ]
    )


def variant_lines(candidates: Sequence[Candidate]) -> list[str]:
    """The table of the compiled forms that were kept, with what they take of RAM where that is known of one."""
    kept = [c for c in candidates if c.kept]
    told = any("ram_bytes" in c.facts for c in kept)
    rows = [
        ["target", "backend", "precision", "bytes", *(["bytes of RAM"] if told else []), "checked"],
        ["---", "---", "---", "---:", *(["---:"] if told else []), "---"],
    ]
    for c in kept:
        ram = [f"{c.facts['ram_bytes']:,}" if "ram_bytes" in c.facts else ""] if told else []
        rows.append([c.target, c.backend, c.precision, f"{c.bytes:,}", *ram, c.checked])
    return [f"| {' | '.join(row)} |" for row in rows]


def score_lines(manifest: Manifest, linear: str, unit: str = "row") -> list[str]:
    """The table of scores, and how they were measured.

    Args:
        linear: what the linear model is called; unit: what was scored, a row or a picture.
    """
    score = manifest.score["child"]
    metrics = [score["metric"], *score["others"]]
    baseline = "always the commonest class" if manifest.classes else "always the mean"
    rows = []
    for key, title in (("child", "this model"), ("linear", linear), ("baseline", baseline)):
        if manifest.score[key]["value"] is None:
            continue
        others = manifest.score[key]["others"]
        cells = [title, interval(manifest.score[key]), *(figure(others[m]) if m in others else "" for m in metrics[1:])]
        rows.append(f"| {' | '.join(cells)} |")
    return [
        f"| model | {' | '.join(metrics)} |",
        "| --- |" + " --- |" * len(metrics),
        *rows,
        "",
        f"Measured by {safe(score['method'], 200)}, on {counted(score['rows'], unit)}; 95 % interval in brackets.",
    ]


def _columns(manifest: Manifest) -> list[str]:
    schema, used = manifest.requirement.schema, set(manifest.inputs)
    columns = [c for c in schema.columns if c.name in used]
    if manifest.classes:
        few = ", ".join(safe(c) for c in manifest.classes[:MOST_CLASSES])
        more = ", ..." if len(manifest.classes) > MOST_CLASSES else ""
        gives = f"one of {len(manifest.classes)} classes ({few}{more}) and a probability for each"
    else:
        gives = "a value"
    label = f"The label is the column {safe(schema.label.name)} ({schema.label_because}); {schema.kind_because}."
    lines = [
        "| column | type | why |",
        "| --- | --- | --- |",
        *(f"| {safe(c.name)} | {c.type} | {safe(c.because, 200)} |" for c in columns[:MOST_COLUMNS]),
        *_rest(columns),
        "",
        f"It gives {gives}. {label}",
    ]
    if schema.named:
        told = ", ".join(safe(name) for name in schema.named[:MOST_COLUMNS])
        lines += ["", f"The task names {told}: hidden units draw on them more while rows are few."]
    if schema.dropped:
        unused = [f"* {safe(d.name)}: {safe(d.because, 200)}" for d in schema.dropped[:MOST_COLUMNS]]
        lines += ["", "Not used:", "", *unused, *_rest(schema.dropped)]
    return lines


def _rest(columns: Sequence[object]) -> list[str]:
    return ["", f"and {len(columns) - MOST_COLUMNS:,} more, listed in {MANIFEST}."] if len(columns) > MOST_COLUMNS else []


def _making(manifest: Manifest) -> list[str]:
    generator, architecture = manifest.generator, manifest.architecture
    how = {
        "floor": "hidden units drawn from the table, heads solved",
        "linear": "linear heads, solved",
        "trained": "hidden units drawn from the table, heads solved, what they say corrected by a meta-trained transformer",
    }
    finetune = generator["finetune"]
    after = "then all of it was fine-tuned on the table" if was_finetuned(generator) else "nothing was trained on the table"
    by = {
        "guard": "the guard chose it: it predicts held-out rows best",
        "user": "the user asked for it",
        "limits": "no hidden unit fits the limits, or none was worth its place",
        "refit": "the package had it before its refit",
    }
    units = f"{architecture['units']:,} hidden units, distilled from {counted(architecture['draws'], 'draw')}"
    blend = generator["blend"]
    return [
        f"* Generator: {generator['name']} (seed {manifest.seed}): {how[generator['name']]}; {after}.",
        f"* Why this one: {by[generator['chosen_by']]}.",
        f"* Blend: {blend['linear']:.0%} linear model, temperature {figure(blend['temperature'])}.",
        *([] if finetune is None else [f"* Fine-tuning: {finetuning_told(finetune, bool(manifest.classes))}."]),
        f"* Architecture: {architecture['template']}, {units if architecture['units'] else 'no hidden units'}, "
        f"{architecture['parameters']:,} parameters.",
    ]


def safe(text: str, limit: int = 100) -> str:
    """Text from the user that can't break a line or a table, or pass for Markdown."""
    return re.sub(r"([\\`*\[\]<|])", r"\\\1", clean(text, limit))
