"""``modelgpt-edge predict``."""

from __future__ import annotations

import csv
import io
import json
import os
from contextlib import suppress
from pathlib import Path

import click

from modelgpt_edge.commands.options import FORCE, JSON, PACKAGE, VARIANT
from modelgpt_edge.errors import InputError


@click.command("predict")
@PACKAGE
@click.argument("rows", type=click.Path())
@click.option("--out", type=click.Path(), metavar="FILE", help="Write the predictions to this file.")
@FORCE
@VARIANT
@JSON
def command(package: str, rows: str, out: str | None, force: bool, variant: str | None, as_json: bool) -> None:
    """Predict the ROWS of a file (CSV, TSV, JSONL, Parquet), or a picture or a folder of them, with a PACKAGE.

    Columns may stand in any order and others are ignored, the label's too. Prints CSV: the label and a probability for each
    class, or the value.
    """
    from modelgpt_edge.runtime.model import load

    if out is not None and Path(out).is_file() and not force:
        cure = "Pass --force to replace it, or give another path."
        raise InputError("this path exists already", where="--out", seen=out, cure=cure)
    model = load(package, variant)
    outputs, notes, names = model.run_file(rows)
    lines: list[list[str | float]]
    if model.classes:
        lines = [[model.classes[best], *row] for best, row in zip(outputs.argmax(1).tolist(), outputs.tolist())]
    else:
        lines = outputs.tolist()
    text = _json(lines, model.classes, names) if as_json else _csv(lines, model.classes, names)
    if out is None:
        click.echo(text, nl=False)
    else:
        _write(Path(out), text)
    for note in notes:
        click.echo(f"note: {note}", err=True)
    if out is not None:
        click.echo(f"{len(lines):,} predictions in {out}", err=True)


def _json(lines: list[list[str | float]], classes: tuple[str, ...], names: tuple[str, ...]) -> str:
    values: list[dict[str, object]]
    if classes:
        values = [{"label": label, "probabilities": dict(zip(classes, row))} for label, *row in lines]
    else:
        values = [{"value": value} for (value,) in lines]
    if names:
        values = [{"picture": name, **value} for name, value in zip(names, values)]
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def _csv(lines: list[list[str | float]], classes: tuple[str, ...], names: tuple[str, ...]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = ["label", *(f"p({name})" for name in classes)] if classes else ["value"]
    if names:
        head, lines = ["picture", *head], [[name, *line] for name, line in zip(names, lines)]
    writer.writerow(head)
    writer.writerows([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in line] for line in lines)
    return text.getvalue()


def _write(path: Path, text: str) -> None:
    """Whole or not at all; what is no file, such as /dev/stdout, is written to, not replaced."""
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
        else:
            temporary.write_text(text, encoding="utf-8")
            os.replace(temporary, path)
    except OSError as error:
        cure = "Give a file in a folder that exists and has room."
        raise InputError(
            "the predictions can't be written", where="--out", seen=f"{path}: {error.strerror}", cure=cure
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
