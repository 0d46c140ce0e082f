"""Rows as an executor takes them, numbers and word positions, from the golden vectors or from a user's file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.data.sources import open_source
from modelgpt_edge.golden import Golden
from modelgpt_edge.manifest import GOLDEN, Manifest
from modelgpt_edge.runtime.opening import Package
from modelgpt_edge.runtime.reading import Reader
from modelgpt_edge.runtime.text_reading import TextReader
from modelgpt_edge.tokens import codes_of

MOST = 2_000


@dataclass(frozen=True)
class PackedRows:
    """Rows ready to run.

    Attributes:
        numbers: (N, C) float32, NaN where missing; codes: (N, S) word positions, -1 where missing or unknown.
        origin: where they come from, for people.
        notes: what was odd in them.
    """

    numbers: Floats
    codes: Ints
    origin: str
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self.numbers)


def golden_inputs(package: Package) -> PackedRows:
    """The inputs of the package's golden rows; PackageError where they can't be read."""
    golden = Golden.read(package.file(GOLDEN))
    if package.manifest.requirement.modality == "text":
        return _texts(package, [list(column) for column in golden.words.T], _origin(golden))
    if golden.pictures is not None:
        return PackedRows(golden.numbers, golden.pictures, f"the package's {len(golden.pictures)} golden pictures")
    codes = np.full(golden.words.shape, -1, np.int32)
    for s, places in enumerate(_places(package.manifest)):
        codes[:, s] = [places.get(word, -1) for word in golden.words[:, s]]
    return PackedRows(golden.numbers, codes, _origin(golden))


def _origin(golden: Golden) -> str:
    return f"the package's {len(golden.numbers)} golden rows"


def read_inputs(package: Package, path: str | Path) -> PackedRows:
    """The first 2,000 rows of a user's table.

    Raises:
        InputError: there is no such table, no row in it, or a column is absent.
    """
    manifest = package.manifest
    if manifest.requirement.modality == "text":
        return _read_texts(package, path)
    if manifest.requirement.modality == "image":
        return _read_pictures(package, Path(path))
    known = {c.name: c for c in manifest.requirement.schema.columns}
    columns = [known[name] for name in manifest.inputs]
    source = open_source(path)
    reader = Reader(
        [c for c in columns if c.type != "category"], [c for c in columns if c.type == "category"], _places(manifest), source
    )
    parts: list[tuple[Floats, Ints]] = []
    for chunk in source.chunks():
        parts.append(reader.read(chunk))
        if sum(len(numbers) for numbers, _ in parts) >= MOST:
            break
    numbers, codes = (np.concatenate(arrays)[:MOST] for arrays in zip(*parts))
    taken = f"{'the first ' if len(numbers) == MOST else ''}{len(numbers):,} rows of {Path(path).name}"
    return PackedRows(numbers, codes, taken, (*source.notes, *reader.notes()))


def _read_texts(package: Package, path: str | Path) -> PackedRows:
    source = open_source(path)
    reader = TextReader(package.manifest.inputs, source)
    rows: list[tuple[str, ...]] = []
    for chunk in source.chunks():
        rows += zip(*reader.read(chunk))
        if len(rows) >= MOST:
            break
    taken = f"{'the first ' if len(rows) >= MOST else ''}{len(rows[:MOST]):,} rows of {Path(path).name}"
    return _texts(package, [list(column) for column in zip(*rows[:MOST])], taken, reader.notes())


def _texts(package: Package, columns: list[list[str]], origin: str, notes: tuple[str, ...] = ()) -> PackedRows:
    from modelgpt_edge.runtime.text_model import open_tokens

    pairs = columns[1] if len(columns) > 1 else None
    codes = codes_of(open_tokens(package, ""), columns[0], pairs, int(package.manifest.architecture["words"]))
    return PackedRows(np.zeros((len(codes), 0), np.float32), codes, origin, notes)


def _read_pictures(package: Package, path: Path) -> PackedRows:
    from modelgpt_edge.data.picture_sets import open_pictures
    from modelgpt_edge.pictures.read import read_picture

    size = int(package.manifest.architecture["size"])
    entries = open_pictures(path, labelled=False).entries[:MOST]
    pictures = np.stack([read_picture(entry.content(), size, entry.name) for entry in entries])
    return PackedRows(np.zeros((len(pictures), 0), np.float32), pictures, f"{len(pictures):,} pictures of {path.name}")


def _places(manifest: Manifest) -> list[dict[str, int]]:
    """Position of every known word, for each column of words."""
    return [{word: i for i, word in enumerate(vocabulary)} for vocabulary in manifest.vocabularies]
