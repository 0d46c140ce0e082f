"""Predict the rows of a CSV file, or of standard input, and print a CSV line for each. Edit it as you like."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import modelgpt_edge
from modelgpt_edge.errors import InputError, ModelgptEdgeError

PACKAGE = Path(__file__).parent / "model.edge"
VARIANT: str | None = None
BLOCK = 1000  # rows at a time


def predict(rows: Iterator[dict[str, Any]]) -> Iterator[list[str]]:
    """A header, then a line for each row: label and probabilities, or the value."""
    model = modelgpt_edge.load(PACKAGE, VARIANT)
    yield ["label", *(f"p({name})" for name in model.classes)] if model.classes else ["value"]
    while block := list(islice(rows, BLOCK)):
        if not model.classes:
            yield from ([f"{value:.6g}"] for value in model.predict(block))
            continue
        for probabilities in model.predict_proba(block):
            yield [model.classes[probabilities.argmax()], *(f"{p:.6g}" for p in probabilities)]


def read(file: TextIO) -> Iterator[dict[str, Any]]:
    """Rows by the header's names."""
    reader = csv.DictReader(file, skipinitialspace=True)
    if reader.fieldnames is None:
        raise InputError("the file is empty")
    for row in reader:
        row.pop(None, None)  # cells beyond the header's
        if None in row.values():
            raise InputError("the row has fewer cells than the header", where=f"line {reader.line_num}")
        yield row


def main(arguments: list[str]) -> int:
    """Predict the file named, and say in one line what is wrong with it."""
    if len(arguments) > 1 or {"-h", "--help"} & set(arguments):
        print("usage: python app.py [FILE.csv]   (standard input without a file)", file=sys.stderr)
        return 2 if len(arguments) > 1 else 0
    standard = arguments in ([], ["-"])
    name = "standard input" if standard else arguments[0]
    try:
        with open(0 if standard else name, encoding="utf-8-sig", newline="", closefd=not standard) as file:
            csv.writer(sys.stdout, lineterminator="\n").writerows(predict(read(file)))
    except (ModelgptEdgeError, OSError) as error:
        print(f"error: {name}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
