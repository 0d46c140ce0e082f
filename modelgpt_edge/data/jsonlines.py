"""JSON: a line an object (JSONL, NDJSON), an array of objects, or an object of columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from modelgpt_edge.data.memory import open_columns, open_records
from modelgpt_edge.data.raw import Chunk
from modelgpt_edge.data.stream import Source, chunk_rows, clean_names
from modelgpt_edge.data.text import TextFile
from modelgpt_edge.errors import InputError

_JSON_ENDINGS = frozenset({".json", ".jsonl", ".ndjson"})
_OTHER_ENDINGS = frozenset({".csv", ".tsv", ".txt", ".data", ".dat"})


def open_json(text: TextFile) -> Source:
    """A source over a JSON file; InputError names the first line that is not an object.

    Lines are read through once at the opening, because any of them may bring a new column; the other forms are held in memory.
    """
    where = str(text.path)
    if text.head().lstrip().startswith("["):
        return open_records(_whole(text), name=where)
    keys: dict[str, None] = {}
    rows = 0
    row: dict[str, Any] = {}
    try:
        for row in _objects(text):
            keys.update(dict.fromkeys(row))
            rows += 1
    except InputError:
        try:
            table = _whole(text)
        except InputError:
            table = None
        if not isinstance(table, dict):
            raise  # the line at fault says more
        return open_columns(table, name=where)
    if rows == 1 and all(isinstance(cells, list) for cells in row.values()):
        return open_columns(row, name=where)
    names, notes = clean_names(list(keys), where)
    by_name = dict(zip(names, keys))

    def read(_: list[str]) -> Iterator[Chunk]:
        objects = _objects(text)
        while part := list(islice(objects, chunk_rows(len(names)))):
            yield {name: [row.get(key) for row in part] for name, key in by_name.items()}

    return Source(where, names, (*text.notes, *notes), read)


def _objects(text: TextFile) -> Iterator[dict[str, Any]]:
    with text.open() as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise InputError(
                    "this line is not a JSON object",
                    where=f"{text.path}, line {number}",
                    seen=line.strip(),
                    cure='Write one object a line, such as {"age": 41, "label": "yes"}.',
                )
            yield row


def _whole(text: TextFile) -> Any:
    """The file as one JSON value; InputError where it is none."""
    with text.open() as file:
        try:
            return json.load(file)
        except (ValueError, RecursionError) as error:
            line = getattr(error, "lineno", 0)
            place = f"{text.path}, line {line}" if line else str(text.path)
            cure = "Mend the file, or write one object a line."
            raise InputError("this is not valid JSON", where=place, seen=str(error), cure=cure) from error


def is_json(path: Path, head: str) -> bool:
    """Whether a text file is JSON, by its ending or, where that says nothing, by its first character."""
    endings = {suffix.lower() for suffix in path.suffixes[-2:]}
    if endings & _JSON_ENDINGS:
        return True
    return not endings & _OTHER_ENDINGS and head.lstrip()[:1] in ("{", "[")
