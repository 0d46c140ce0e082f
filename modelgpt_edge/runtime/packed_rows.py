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
    codes = np.full(golden.words.shape, -1, np.int32)
    for s, places in enumerate(_places(package.manifest)):
        codes[:, s] = [places.get(word, -1) for word in golden.words[:, s]]
    return PackedRows(golden.numbers, codes, f"the package's {len(golden.numbers)} golden rows")


def read_inputs(package: Package, path: str | Path) -> PackedRows:
    """The first 2,000 rows of a user's table.

    Raises:
        InputError: there is no such table, no row in it, or a column is absent.
    """
    manifest = package.manifest
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


def _places(manifest: Manifest) -> list[dict[str, int]]:
    """Position of every known word, for each column of words."""
    return [{word: i for i, word in enumerate(vocabulary)} for vocabulary in manifest.vocabularies]
