"""Open pictures wherever they are: what kind of source it is is told here, and read by its neighbours."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from itertools import islice
from pathlib import Path

import numpy as np

from modelgpt_edge.data.parquet import MAGIC as PARQUET
from modelgpt_edge.data.picture_folders import open_picture_folder, walk
from modelgpt_edge.data.picture_listing import Parts
from modelgpt_edge.data.picture_memory import is_classes, is_columns, is_pairs, open_picture_memory
from modelgpt_edge.data.picture_set import ENDINGS, PictureEntry, PictureSet, is_image, is_picture, is_picture_name
from modelgpt_edge.data.picture_tables import exist, find_picture_column, open_picture_table
from modelgpt_edge.data.picture_zips import is_zip, open_picture_zip
from modelgpt_edge.data.raw import Chunk
from modelgpt_edge.data.sources import Source, open_source
from modelgpt_edge.data.text import GZIP_MAGIC, HEAD
from modelgpt_edge.errors import InputError, ModelgptEdgeError

__all__ = ["PictureEntry", "PictureSet", "looks_like_pictures", "open_pictures"]

# A text may be a list of paths, or anything: what it holds tells.
_LISTS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".gz")
_TABLES = (*_LISTS, ".txt")
_LOOKED_AT = 10_000
_NAMED = re.compile(b"(?:%s)" % b"|".join(re.escape(ending.encode()) for ending in ENDINGS), re.IGNORECASE)


def open_pictures(source: object, label: str | None = None, picture: str | None = None, labelled: bool = True) -> PictureSet:
    """Pictures and their classes; nothing is decoded yet.

    Args:
        source: a folder of class folders, a zip of one (or a folder in it, such as ``pictures.zip/train``), a table of paths
            and labels (CSV, TSV, JSONL or Parquet, or one in memory), a dict of class and pictures, or pairs of picture and
            label. Where not `labelled` also a folder of pictures, one picture, whatever it is called, or several.
        label, picture: of a table, the columns of classes and of paths; None to look for them.
        labelled: whether classes are wanted; without, pictures are of none, and all that are found are taken.

    Raises:
        InputError: there is no such source, it holds no pictures, or their classes can't be told.
    """
    if isinstance(source, bytes) and is_zip(source):
        return open_picture_zip(source, labelled)
    if isinstance(source, (str, os.PathLike)):
        return _open_path(Path(os.path.expanduser(os.fsdecode(source))), label, picture, labelled)
    if _is_table(source):
        return open_picture_table(open_source(source), Path(), label, picture, labelled)
    return open_picture_memory(source, labelled)


def looks_like_pictures(source: object, *, follow: bool = True) -> bool:
    """Whether a source is one of pictures, and not a table or texts; nothing is decoded, and no error is raised.

    A table is one where most cells of a column are paths of pictures, and one of the first is a file, or hardly anything stands
    beside that column.

    Args:
        follow: whether to see if files are there that a table names, which a table from somebody else mustn't cause.
    """
    try:
        if isinstance(source, (str, os.PathLike)):
            return _path_looks(Path(os.path.expanduser(os.fsdecode(source))), follow)
        if _is_table(source):
            return _table_looks(open_source(source), Path() if follow else None)
    except (ModelgptEdgeError, OSError, ValueError):  # whoever reads it says what is wrong
        return False
    if isinstance(source, bytes):
        return is_zip(source)
    if isinstance(source, np.ndarray):
        return source.ndim >= 3
    several = isinstance(source, (list, tuple)) and bool(source) and is_picture(source[0])
    return is_image(source) or several or is_columns(source) or is_pairs(source) or is_classes(source)


def is_table_of_pictures(source: object) -> bool:
    """Whether a source of pictures is a table that lists them: its classes are a column, which has a name."""
    if isinstance(source, (str, os.PathLike)):
        path = Path(os.path.expanduser(os.fsdecode(source)))
        return not _is_folder(path) and _zip_of(path)[0] is None
    return _is_table(source)


def _open_path(path: Path, label: str | None, picture: str | None, labelled: bool) -> PictureSet:
    if _is_folder(path):
        return open_picture_folder(path, labelled)
    around, inside = _zip_of(path)
    if around is not None:
        return open_picture_zip(around, labelled, inside)
    if is_picture_name(path.name) or (not labelled and _is_no_table(path)):
        if labelled:
            cure = "Give a folder with one folder of pictures for each class, or a table of paths and labels."
            raise InputError("one picture tells no classes apart", where=str(path), cure=cure)
        return PictureSet(str(path), (PictureEntry(str(path), None, path.absolute),))
    return open_picture_table(open_source(path), path.parent, label, picture, labelled)


def _is_no_table(path: Path) -> bool:
    """Whether a file can be a picture alone: its name is no table's, and it names no picture where a table would."""
    try:
        return path.is_file() and not path.name.lower().endswith(_LISTS) and not _may_name_pictures(path)
    except (OSError, ValueError):  # whoever reads it says so
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that nothing can have, such as the data itself: `open_source` says so
        return False


def _zip_of(path: Path) -> tuple[Path | None, Parts]:
    """The zip that a path is, or leads into, and where in it."""
    try:
        for place in (path, *path.parents):
            if place.is_file():
                return (place, path.relative_to(place).parts) if is_zip(place) else (None, ())
    except (OSError, ValueError):
        pass
    return None, ()


def _is_table(source: object) -> bool:
    """Whether a thing in memory is a table: a frame, rows of dicts, or columns that aren't classes' pictures."""
    if isinstance(source, Source) or (hasattr(source, "iloc") and hasattr(source, "columns")):
        return True
    if isinstance(source, dict):
        return not is_classes(source)
    return isinstance(source, (list, tuple)) and bool(source) and isinstance(source[0], dict)


def _path_looks(path: Path, follow: bool) -> bool:
    if _is_folder(path):
        found = [parts for parts, is_folder in islice(walk(path), _LOOKED_AT) if not is_folder]
        tables = any(len(parts) == 1 and parts[0].lower().endswith(_TABLES) for parts in found)
        return not tables or any(is_picture_name(parts[-1]) for parts in found)
    if _zip_of(path)[0] is not None:
        return True
    if is_picture_name(path.name):
        return path.is_file()
    return _may_name_pictures(path) and _table_looks(open_source(path), path.parent if follow else None)


def _may_name_pictures(path: Path) -> bool:
    """Whether the start of a file names a picture; of a Parquet file, which is packed, the start tells nothing."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith(PARQUET):
        return True
    if head.startswith(GZIP_MAGIC):
        try:
            with gzip.open(path, "rb") as file:
                head = file.read(HEAD)
        except (OSError, EOFError, zlib.error):
            return False
    return _NAMED.search(head.replace(b"\0", b"")) is not None  # without the zeros of UTF-16


def _table_looks(source: Source, folder: Path | None) -> bool:
    chunk: Chunk = next(iter(source.chunks()), {})
    column = find_picture_column(chunk)
    if column is None:
        return False
    return exist(chunk[column], folder) is not False or len(source.columns) <= 2
