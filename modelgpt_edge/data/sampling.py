"""Uniform samples of a stream's rows in one pass, and how to know those rows again in the next.

Every row has a random key, a function of the seed and of the row's place; the rows with the smallest keys are the sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.data.distinct import Hashes, mix
from modelgpt_edge.data.raw import Cells, Chunk

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_LAST = np.uint64(2**64 - 1)


def row_keys(seed: int, start: int, count: int) -> Hashes:
    """Keys (count,) of the rows from place `start` on: SplitMix64 at those places of its sequence, so no two are alike."""
    places = np.arange(start + 1, start + count + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        return mix(places * _GOLDEN + mix(np.array([seed % 2**64], np.uint64)))


def take(cells: Cells, index: NDArray[np.intp]) -> Cells:
    """The cells at `index`, in a list or array as they came."""
    return cells[index] if isinstance(cells, np.ndarray) else list(map(cells.__getitem__, index.tolist()))


@dataclass
class RowSample:
    """The raw cells of the `limit` rows with the smallest keys, in the stream's order."""

    limit: int
    seed: int
    rows: int = 0
    _bound: np.uint64 = _LAST
    _keys: list[Hashes] = field(default_factory=list)
    _parts: list[Mapping[str, Cells]] = field(default_factory=list)

    def add(self, chunk: Chunk) -> None:
        """Add the stream's next rows."""
        count = len(next(iter(chunk.values())))
        keys = row_keys(self.seed, self.rows, count)
        self.rows += count
        self._keep(keys, chunk)
        if sum(map(len, self._keys)) > 2 * self.limit:
            self._bound = np.partition(np.concatenate(self._keys), self.limit - 1)[self.limit - 1]
            keys_of_parts, self._keys = self._keys, []
            parts, self._parts = self._parts, []
            for part_keys, part in zip(keys_of_parts, parts):
                self._keep(part_keys, part)

    def _keep(self, keys: Hashes, cells: Mapping[str, Cells]) -> None:
        near = np.flatnonzero(keys <= self._bound)
        if len(near):
            self._keys.append(keys[near])
            self._parts.append(
                cells if len(near) == len(keys) else {name: take(column, near) for name, column in cells.items()}
            )

    def between(self, low: int, high: int) -> tuple[dict[str, Cells], int]:
        """Cells of the rows whose rank by key is in low..high-1, in the stream's order, and the key of rank `high`.

        Rows before `high` are told by a smaller key; with `high` the number of rows, that key is past every row's.
        """
        keys = np.concatenate(self._keys)
        ordered = np.append(np.sort(keys), _LAST)
        index = np.flatnonzero((keys >= ordered[low]) & (keys < ordered[high]))
        return {name: take(_joined([p[name] for p in self._parts]), index) for name in self._parts[0]}, int(ordered[high])


def _joined(parts: Sequence[Cells]) -> Cells:
    if len(parts) == 1:
        return parts[0]
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    if len(arrays) == len(parts) and len({array.dtype for array in arrays}) == 1:
        return np.concatenate(arrays)
    return [cell for part in parts for cell in part]
