"""Pictures that a table lists: a column of paths, which count from the table's folder, and one of labels."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from modelgpt_edge.data.picture_set import PictureEntry, PictureSet, is_picture, is_picture_name, label_words
from modelgpt_edge.data.raw import Cells, Chunk, is_missing
from modelgpt_edge.data.stream import Source
from modelgpt_edge.errors import InputError, nearest
from modelgpt_edge.pictures.read import Picture

# Usual names of columns of classes, the surest first.
LABELS = ("label", "labels", "class", "class_name", "classname", "category", "target", "species", "y")
_TRIED = 20
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_LONGEST_PATH = 4096


def open_picture_table(source: Source, folder: Path, label: str | None, picture: str | None, labelled: bool) -> PictureSet:
    """The pictures that a table lists, a row each.

    Args:
        folder: where relative paths begin.
        label, picture: names of the columns of classes and of paths (or of pictures in memory); None to look for them.
        labelled: whether classes are wanted.

    Raises:
        InputError: a column isn't there or can't be told, or no picture is where the table says.
    """
    entries: list[PictureEntry] = []
    rows = without_picture = without_label = 0
    column = labels_in = ""
    for chunk in source.chunks():
        if not rows:
            column = _picture_column(source, chunk, picture)
            labels_in = _label_column(source, label, column) if labelled else ""
            _check_places(source, chunk[column], folder)
        cells = chunk[column]
        labels: Sequence[str | None] = label_words(chunk[labels_in]) if labelled else [None] * len(cells)
        for place, (cell, word) in enumerate(zip(cells, labels), rows + 1):
            if _is_empty(cell):
                without_picture += 1
            elif labelled and word is None:
                without_label += 1
            else:
                entries.append(_entry(cell, word, folder, place))
        rows += len(cells)
    if not entries:
        what, cure = "no row has a picture", "Give rows with a picture's path."
        if labelled:
            what, cure = "no row has both a picture and a label", "Give rows with a picture's path and a label."
        raise InputError(what, where=source.name, seen=f"{rows:,} rows", cure=cure)
    notes = list(source.notes)
    for count, what in ((without_picture, "a picture"), (without_label, "a label")):
        if count:
            notes.append(f"Left out for want of {what}: {count:,} of {rows:,} rows.")
    return PictureSet(source.name, tuple(entries), tuple(notes))


def find_picture_column(chunk: Chunk) -> str | None:
    """The column of which most cells are pictures or end as paths of pictures, the first where several do; None for none."""
    shares = {name: _share(cells) for name, cells in chunk.items()}
    best = max(shares, key=lambda name: shares[name], default=None)
    return best if best is not None and shares[best] > 0.5 else None


def exist(cells: Cells, folder: Path | None) -> bool | None:
    """Whether any of the first pictures is where the table says; None where there is no path to try.

    Args:
        folder: where relative paths begin; None where no path of the table may be tried, and none counts as there.
    """
    tried = [cell for cell in cells[: 5 * _TRIED] if isinstance(cell, str) and not _is_empty(cell)][:_TRIED]
    if not tried:
        return None
    if folder is None:
        return False
    try:
        return any(_path(cell, folder).is_file() for cell in tried)
    except (OSError, ValueError):
        return False


def _share(cells: Cells) -> float:
    filled = [cell for cell in cells if not _is_empty(cell)]
    return sum(map(_is_path_or_picture, filled)) / len(filled) if filled else 0.0


def _is_path_or_picture(cell: object) -> bool:
    if isinstance(cell, str):
        return len(cell) < _LONGEST_PATH and "\n" not in cell and is_picture_name(cell.strip())
    return is_picture(cell)


def _is_empty(cell: object) -> bool:
    if isinstance(cell, str):
        return not cell.strip()
    return not is_picture(cell) and is_missing(cell)


def _picture_column(source: Source, chunk: Chunk, asked: str | None) -> str:
    if asked is not None:
        if asked not in source.columns:
            cure = nearest(asked, source.columns)
            raise InputError("no column has this name", where=source.name, seen=asked, cure=cure)
        return asked
    found = find_picture_column(chunk)
    if found is None:
        cure = "Give a table with a column of paths that end in .png, .jpg or the like."
        raise InputError("no column holds paths of pictures", where=source.name, seen=list(source.columns), cure=cure)
    return found


def _label_column(source: Source, asked: str | None, picture: str) -> str:
    others = [name for name in source.columns if name != picture]
    if asked is not None:
        if asked not in others:
            cure = nearest(asked, others) if others else "Add a column of classes."
            raise InputError("no column has this name", where="--label", seen=asked, cure=cure)
        return asked
    by_name = {name.strip().casefold().replace(" ", "_"): name for name in reversed(others)}
    usual = next((by_name[name] for name in LABELS if name in by_name), None)
    if usual is not None:
        return usual
    if len(others) != 1:
        what = "it can't be told which column holds the classes" if others else "there is no column of classes"
        cure = "Name it by --label." if others else "Add a column of classes beside the paths."
        raise InputError(what, where=source.name, seen=list(source.columns), cure=cure)
    return others[0]


def _check_places(source: Source, cells: Cells, folder: Path) -> None:
    """InputError where none of the first pictures is there: paths that are wrong are mostly all wrong."""
    if exist(cells, folder) is not False:
        return
    first = next(cell for cell in cells if isinstance(cell, str) and not _is_empty(cell))
    if _ADDRESS.match(first):
        cure = "Download them, and put paths of files into the table."
        raise InputError("the table lists addresses, not files", where=source.name, seen=first, cure=cure)
    cure = f"Paths count from the table's folder, {folder}: mend them, or move the table."
    raise InputError("no picture is where the table says", where=source.name, seen=first, cure=cure)


def _entry(cell: object, word: str | None, folder: Path, place: int) -> PictureEntry:
    if isinstance(cell, (str, os.PathLike)):
        text = os.fsdecode(cell).strip()
        return PictureEntry(text, word, partial(_path, text, folder))
    return PictureEntry(f"row {place}", word, partial(_given, cell))


def _path(cell: str, folder: Path) -> Path:
    """Where a cell points to; a table from Windows has backslashes."""
    text = cell.strip()
    if os.sep == "/" and "/" not in text:
        text = text.replace("\\", "/")
    return folder / text


def _given(cell: Any) -> Picture:
    return cell
