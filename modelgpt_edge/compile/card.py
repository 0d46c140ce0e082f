"""The model card: the manifest in words, for people."""

from __future__ import annotations

from modelgpt_edge.manifest import REPORT, Manifest


def model_card(manifest: Manifest, notes: tuple[str, ...]) -> str:
    """MODEL_CARD.md of a package.

    Args:
        notes: what the user should know of the data and the request.
    """
    requirement, schema = manifest.requirement, manifest.requirement.schema
    lines = [
        f"# {schema.label.name}",
        "",
        requirement.sentence,
        "",
        f"![Held-out predictions]({REPORT})",
        "",
        "## How good it is",
        "",
        "| model | " + " | ".join(_metrics(manifest)) + " |",
        "| --- |" + " --- |" * len(_metrics(manifest)),
        *(
            _score_row(manifest, key, title)
            for key, title in (("child", "this model"), ("linear", "plain linear model"), ("baseline", _baseline(manifest)))
        ),
        "",
        f"Measured by {manifest.score['child']['method']}, on {manifest.score['child']['rows']:,} rows; 95 % interval in brackets.",
        "",
        "## What it takes and gives",
        "",
        "| column | type | why |",
        "| --- | --- | --- |",
        *(f"| {_cell(c.name)} | {c.type} | {_cell(c.because)} |" for c in schema.columns),
        "",
        f"It gives {_gives(manifest)}. The label column is {_cell(schema.label.name)!r} ({schema.label_because}); {schema.kind_because}.",
        "",
    ]
    if schema.dropped:
        lines += ["Not used:", "", *(f"* {_cell(d.name)}: {d.because}" for d in schema.dropped), ""]
    generator, architecture = manifest.generator, manifest.architecture
    lines += [
        "## How it was made",
        "",
        f"* Generator: {generator['name']} (seed {manifest.seed}): hidden units drawn from the table, heads solved; nothing was trained."
        if generator["name"] == "floor"
        else f"* Generator: {generator['name']} (seed {manifest.seed}): the guard found the plain linear model to predict better.",
        f"* Blend: {generator['blend']['linear']:.0%} linear model, temperature {generator['blend']['temperature']:.3f}.",
        f"* Architecture: {architecture['template']}, {architecture['units']} hidden units x {architecture['draws']} draws, {architecture['parameters']:,} parameters.",
        "",
        "## Variants",
        "",
        "| target | backend | precision | bytes | checked |",
        "| --- | --- | --- | ---: | --- |",
        *(f"| {v.target} | {v.backend} | {v.precision} | {v.bytes:,} | {v.status} |" for v in manifest.variants),
        "",
        "## What to mind",
        "",
        "* It has learnt from the rows given and knows nothing else: rows unlike those are answered all the same.",
        "* Words that it has never seen count as no word at all; missing numbers take the column's median.",
        *(f"* {note}" for note in notes),
        "",
    ]
    return "\n".join(lines)


def _metrics(manifest: Manifest) -> list[str]:
    score = manifest.score["child"]
    return [score["metric"], *score["others"]]


def _score_row(manifest: Manifest, key: str, title: str) -> str:
    score = manifest.score[key]
    first = f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"
    others = [f"{score['others'][name]:.3f}" if name in score["others"] else "" for name in _metrics(manifest)[1:]]
    return f"| {title} | " + " | ".join([first, *others]) + " |"


def _baseline(manifest: Manifest) -> str:
    return "always the commonest class" if manifest.classes else "always the mean"


def _gives(manifest: Manifest) -> str:
    if not manifest.classes:
        return "a value"
    shown = ", ".join(_cell(c) for c in manifest.classes[:10])
    return f"a class ({shown}{', ...' if len(manifest.classes) > 10 else ''}) and a probability for each"


def _cell(text: str) -> str:
    """A name that can't break a table or a line."""
    return " ".join(text.replace("|", "/").split())[:60]
