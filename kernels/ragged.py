"""Matrices of different sizes in one flat buffer: what the batched operations take and give.

Nothing here imports torch at its own import: a build on the CPU passes through this package too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, device, dtype  # noqa: TID251 - types alone

Longs = NDArray[np.int64]
# Every matrix of a new buffer begins at a multiple of this many elements, so that a GPU moves whole 16-byte words.
ALIGNMENT = 16


@dataclass(frozen=True, eq=False)
class Ragged:
    """G matrices in one flat buffer, each row by row without gaps.

    Attributes:
        data: a flat, contiguous tensor of any type on any device.
        offset: (G,) elements before the first of each matrix. Matrices may share elements: a basis that many requests use
            stands once.
        rows, columns: (G,) sizes; nil is allowed.
    """

    data: Tensor
    offset: Longs
    rows: Longs
    columns: Longs

    def __post_init__(self) -> None:
        ends = self.offset + self.rows * self.columns
        if self.data.ndim != 1 or not self.data.is_contiguous():
            raise InputError("the buffer isn't flat", where="Ragged.data", seen=tuple(self.data.shape), cure="Pass x.view(-1).")
        if any(len(a) and int(a.min()) < 0 for a in (self.offset, self.rows, self.columns)):
            raise InputError("negative sizes or offsets", where="Ragged", cure="Sizes and offsets count elements from nought.")
        if len(ends) and int(ends.max()) > self.data.numel():
            cure = f"The buffer has {self.data.numel()} elements."
            raise InputError("a matrix ends beyond the buffer", where="Ragged.offset", seen=int(ends.max()), cure=cure)

    @staticmethod
    def of(matrices: Sequence[Tensor]) -> Ragged:
        """Matrices (m, n) of one type and device, copied into one buffer; at least one."""
        first = matrices[0]
        shapes = np.array([m.shape for m in matrices], np.int64)
        packed = Ragged.empty(shapes[:, 0], shapes[:, 1], first.dtype, first.device)
        for matrix, place in zip(matrices, packed):
            place.copy_(matrix)
        return packed

    @staticmethod
    def batch(matrices: Tensor) -> Ragged:
        """The matrices of a contiguous tensor (G, m, n), where they lie."""
        count, rows, columns = matrices.shape
        size = np.full(count, rows * columns, np.int64)
        return Ragged(matrices.view(-1), np.cumsum(size) - size, np.full(count, rows), np.full(count, columns))

    @staticmethod
    def empty(rows: Longs, columns: Longs, kind: dtype, place: device) -> Ragged:
        """Room for matrices of the sizes (G,) given, in a new buffer that isn't filled."""
        import torch  # noqa: TID251 - only batched callers have torch

        rows, columns = np.asarray(rows, np.int64), np.asarray(columns, np.int64)
        room = -(-rows * columns // ALIGNMENT) * ALIGNMENT
        return Ragged(torch.empty(int(room.sum()), dtype=kind, device=place), np.cumsum(room) - room, rows, columns)

    def take(self, index: Longs) -> Ragged:
        """The matrices at `index`, in that order and as often as named; nothing is copied."""
        return Ragged(self.data, self.offset[index], self.rows[index], self.columns[index])

    def __len__(self) -> int:
        return len(self.offset)

    def __getitem__(self, group: int) -> Tensor:
        start, rows, columns = int(self.offset[group]), int(self.rows[group]), int(self.columns[group])
        return self.data[start : start + rows * columns].view(rows, columns)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[g] for g in range(len(self)))

    @property
    def unit(self) -> int:
        """The largest power of two up to 16 that divides every offset and row length: what a kernel may assume of addresses."""
        return int(np.gcd.reduce(np.concatenate([[ALIGNMENT], self.offset, self.columns])))


@dataclass(frozen=True, eq=False)
class Stored:
    """Weights in the type that they are stored in.

    Attributes:
        values: (m, n) each, of a float type or int8.
        steps: (1, n) float32 each, the value of one int8 step in each output channel (a column, as weights are (inputs,
            outputs) here); None for float types. A channel that holds a NaN or an infinity has the step NaN and only zeros,
            so all that is made of it is NaN.
    """

    values: Ragged
    steps: Ragged | None

    @staticmethod
    def empty(rows: Longs, columns: Longs, kind: dtype, place: device) -> Stored:
        """Room for weights of the sizes (G,) given."""
        import torch  # noqa: TID251 - only batched callers have torch

        steps = Ragged.empty(np.ones_like(columns), columns, torch.float32, place) if kind == torch.int8 else None
        return Stored(Ragged.empty(rows, columns, kind, place), steps)

    def floats(self, group: int) -> Tensor:
        """Weights (m, n) of one group as they will be used, in float32 for int8."""
        values = self.values[group]
        return values if self.steps is None else values.float() * self.steps[group]
