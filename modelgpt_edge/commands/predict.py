"""``modelgpt-edge predict``."""

from __future__ import annotations

import csv
import io
import os
import sys
from pathlib import Path

import click

from modelgpt_edge.commands.options import JSON, PACKAGE, VARIANT
from modelgpt_edge.commands.printing import print_json


@click.command("predict")
@PACKAGE
@click.argument("rows", type=click.Path())
@click.option("--out", type=click.Path(), metavar="FILE", help="Write the predictions as CSV to this file.")
@VARIANT
@JSON
def command(package: str, rows: str, out: str | None, variant: str | None, as_json: bool) -> None:
    """Predict the ROWS of a file (CSV, TSV, JSONL, Parquet) with a PACKAGE.

    Columns may stand in any order and others are ignored, the label's too. Prints CSV: the label and a probability for each
    class, or the value.
    """
    from modelgpt_edge.data.sources import open_source
    from modelgpt_edge.runtime.model import load

    model = load(package, variant)
    source = open_source(rows)
    head = ["label", *(f"p({name})" for name in model.classes)] if model.classes else ["value"]
    lines: list[list[object]] = []
    for chunk in source.chunks():
        outputs = model.run(*model.read(chunk))
        if model.classes:
            lines += [[model.classes[p.argmax()], *map(float, p)] for p in outputs]
        else:
            lines += [[float(v)] for v in outputs[:, 0]]
    for note in source.notes:
        click.echo(f"note: {note}", err=True)
    if as_json:
        print_json([_json(line, model.classes) for line in lines])
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([[f"{v:.6g}" if isinstance(v, float) else v for v in line] for line in lines])
    if out is None:
        sys.stdout.write(text.getvalue())
    else:
        _write(Path(out), text.getvalue())
        click.echo(f"{len(lines):,} predictions in {out}", err=True)


def _json(line: list[object], classes: tuple[str, ...]) -> dict[str, object]:
    return {"label": line[0], "probabilities": dict(zip(classes, line[1:]))} if classes else {"value": line[0]}


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
