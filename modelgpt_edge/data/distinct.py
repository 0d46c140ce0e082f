"""How many different values a column has, in flat memory, and whether any of them comes twice.

A bottom-k sketch: of all values' 64-bit hashes it keeps the k smallest with their counts. Those are a uniform sample of
the distinct values, and a kept value's count is exact, for it was kept from its first cell on.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]


def mix(bits: Hashes) -> Hashes:
    """SplitMix64's finaliser (Steele, Lea and Flood 2014) over (N,) words of 64 bits: a bijection that looks random."""
    with np.errstate(over="ignore"):
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return bits ^ (bits >> np.uint64(31))


def hash_numbers(values: NDArray[np.float64]) -> Hashes:
    """Hashes of (N,) numbers; both zeros hash alike."""
    return mix((values + 0.0).view(np.uint64))


def hash_words(words: Sequence[str]) -> Hashes:
    """Hashes of (N,) words, the same in every process."""
    digests = [blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest() for word in words]
    return np.frombuffer(b"".join(digests), np.uint64)


class Sketch:
    """The `size` smallest hashes seen, with their counts."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._hashes = np.zeros(0, np.uint64)
        self._counts = np.zeros(0, np.int64)

    def add(self, hashes: Hashes, counts: NDArray[np.int64] | None = None) -> None:
        """Add (N,) hashes, each once or `counts` times."""
        if counts is None:
            counts = np.ones(len(hashes), np.int64)
        if len(self._hashes) == self._size:
            near = hashes <= self._hashes[-1]
            hashes, counts = hashes[near], counts[near]
        if len(hashes):
            kept, places = np.unique(np.concatenate([self._hashes, hashes]), return_inverse=True)
            sums = np.bincount(places, np.concatenate([self._counts, counts])).astype(np.int64)
            self._hashes, self._counts = kept[: self._size], sums[: self._size]

    def distinct(self) -> int:
        """Number of different values: exact below `size`, else estimated to about 1/sqrt(size)."""
        if len(self._hashes) < self._size:
            return len(self._hashes)
        return round((self._size - 1) / (float(self._hashes[-1]) / 2.0**64))

    @property
    def unique(self) -> bool:
        """Whether no kept value came twice: of a column where one value in a hundred repeats, some will have."""
        return bool((self._counts == 1).all())
