"""Parquet files, by pyarrow, which is imported only here and only when a Parquet file is opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modelgpt_edge.data.raw import Cells, Chunk
from modelgpt_edge.data.stream import Source, chunk_rows, clean_names, no_rows
from modelgpt_edge.errors import InputError

MAGIC = b"PAR1"
# What pyarrow raises for a file that isn't as it should be; a damaged one may claim types that no Parquet has.
_FAULTS = (ValueError, OSError, NotImplementedError)


def open_parquet(path: Path) -> Source:
    """A source over a Parquet file; InputError where pyarrow is absent or the file is damaged."""
    try:
        from pyarrow import parquet
    except ImportError as error:
        cure = "Install it with: pip install 'modelgpt-edge[build]', or give a CSV file."
        raise InputError("reading Parquet needs pyarrow, which is not installed", where=str(path), cure=cure) from error
    try:
        with parquet.ParquetFile(path) as file:
            raw, rows = file.schema_arrow.names, file.metadata.num_rows
    except _FAULTS as error:
        raise _damaged(path, str(error)) from error
    names, notes = clean_names(raw, str(path))
    if not rows:
        raise no_rows(str(path))

    def read(_: list[str]) -> Iterator[Chunk]:
        left = rows
        try:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=chunk_rows(len(names))):
                    yield {name: _cells(column) for name, column in zip(names, batch.columns)}
                    left -= batch.num_rows
        except _FAULTS as error:
            raise _damaged(path, str(error)) from error
        if left:
            raise _damaged(path, f"{rows - left:,} rows instead of {rows:,}")

    return Source(str(path), names, notes, read)


def _cells(column: Any) -> Cells:
    """An Arrow array as numpy where that keeps every value, else as Python objects."""
    from pyarrow import types

    kind = column.type
    plain = types.is_floating(kind) or types.is_timestamp(kind) or types.is_date(kind)
    if plain or (column.null_count == 0 and (types.is_integer(kind) or types.is_boolean(kind))):
        cells: Cells = column.to_numpy(zero_copy_only=False)
    else:
        cells = column.to_pylist()
    return cells


def _damaged(path: Path, reason: str) -> InputError:
    first = reason.split("\n")[0]
    return InputError("the Parquet file is damaged or cut short", where=str(path), seen=first, cure="Write it again.")
