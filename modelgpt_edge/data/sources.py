"""Open any table: a file's kind is told by its content, and by its ending where the content says nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from modelgpt_edge.data.delimited import open_delimited
from modelgpt_edge.data.jsonlines import is_json, open_json
from modelgpt_edge.data.memory import open_memory
from modelgpt_edge.data.parquet import MAGIC, open_parquet
from modelgpt_edge.data.stream import Source
from modelgpt_edge.data.text import open_bytes, open_text
from modelgpt_edge.errors import InputError, nearest

__all__ = ["Source", "open_source"]

_ENDINGS = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".gz")


def open_source(data: object, names: Sequence[str] | None = None) -> Source:
    """A source over a file (CSV, TSV, JSONL, JSON, Parquet; text also gzipped) or over a table in memory.

    Args:
        data: a path, a pandas DataFrame, a list of dicts, a dict of columns, or a 2-D numpy array.
        names: column names of an array; "c0", "c1", ... where not given.

    Raises:
        InputError: where there is no such file, or no table in it.
    """
    if isinstance(data, Source):
        return data
    if not isinstance(data, (str, os.PathLike)):
        return open_memory(data, names)
    path = Path(os.path.expanduser(os.fsdecode(data)))
    _check_file(path)
    with open_bytes(path, unpack=False) as file:
        magic = file.read(4)
    if magic == MAGIC or (path.suffix.lower() in (".parquet", ".pq") and magic):
        return open_parquet(path)
    text = open_text(path)
    return open_json(text) if is_json(path, text.head()) else open_delimited(text)


def _check_file(path: Path) -> None:
    """InputError where the path is a folder or nothing, with what lies there."""
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError) as error:  # a name that no file can have, such as the table itself
        raise InputError("this is not a path", where="data", seen=str(path), cure="Give the path of a file.") from error
    if is_folder:
        tables = sorted(p.name for p in path.iterdir() if p.name.lower().endswith(_ENDINGS))
        cure = f"Give one file of it: {', '.join(tables[:5])}." if tables else "Give a file."
        raise InputError("this is a folder, not a table", where=str(path), cure=cure)
    if is_file:
        return
    folder = path.parent
    if not folder.is_dir():
        raise InputError(
            "no such file: its folder does not exist", where=str(path), cure=f"Check the path; {folder} is not there."
        )
    # Class folders of pictures are data too.
    names = [f"{p.name}/" if p.is_dir() else p.name for p in folder.iterdir() if p.is_file() or _is_shown_folder(p)]
    cure = nearest(path.name, names) if names else "The folder is empty."
    raise InputError("no such file", where=str(path), cure=cure)


def _is_shown_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")
