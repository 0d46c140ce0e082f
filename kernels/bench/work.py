"""The operands of a case on a device, the launch that is timed, and the same in float64 to hold it against.

Every case draws from a seed of its own, so that what an earlier one left in memory is never right by chance.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch  # noqa: TID251 - operands are torch tensors
from torch import Tensor  # noqa: TID251

from modelgpt_edge.kernels.bench.cases import Case
from modelgpt_edge.kernels.bench.numerics import code_fault, float_fault
from modelgpt_edge.kernels.emit import emit
from modelgpt_edge.kernels.emit import naive as emit_naive
from modelgpt_edge.kernels.gram import gram
from modelgpt_edge.kernels.gram import naive as gram_naive
from modelgpt_edge.kernels.gram.batch import BatchSums, BatchUnits
from modelgpt_edge.kernels.launch import DTYPES
from modelgpt_edge.kernels.merge import merge
from modelgpt_edge.kernels.merge import naive as merge_naive
from modelgpt_edge.kernels.ragged import Longs, Ragged, Stored
from modelgpt_edge.kernels.shapes import Layer, Table

# Groups of a result that are held against the reference, spread over all; of gram's, whose sums are longer, fewer.
MOST_GROUPS, MOST_TABLES = 48, 4


class Work(Protocol):
    """One case's operands."""

    @property
    def count(self) -> int:
        """Groups of the result."""
        ...

    def ours(self) -> Stored | BatchSums:
        """The operation as callers call it."""
        ...

    def launched(self) -> Stored | BatchSums:
        """The kernel, wherever the operands lie: in Triton's interpreter too."""
        ...

    def part(self, result: Stored | BatchSums, group: int) -> Tensor:
        """One group of a result, as it will be used."""
        ...

    def exact(self, groups: Longs) -> Sequence[Tensor]:
        """The same groups in float64."""
        ...

    def fault(self, result: Stored | BatchSums, group: int, wanted: Tensor) -> str:
        """What is wrong with a group; "" where it is right."""
        ...


@dataclass(frozen=True, eq=False)
class Factors:
    """Operands of `emit`, and with a base those of `merge`: all requests of the first layer first.

    Attributes:
        left, right: (m, r) and (r, n), L Q each.
        kind: that the weights are stored in.
        layers: L sizes.
        base, scale: (m, n) a layer, and (L, Q), multiples of 1/8; None for `emit`.
        shared: the right factors of a layer are one, where it lies.
    """

    left: Ragged
    right: Ragged
    kind: torch.dtype
    layers: tuple[Layer, ...]
    base: Ragged | None = None
    scale: Tensor | None = None
    shared: bool = False

    @property
    def count(self) -> int:
        """Layers times requests."""
        return len(self.left)

    @property
    def requests(self) -> int:
        """Q."""
        return len(self.left) // len(self.layers)

    def ours(self) -> Stored:
        """The operation as callers call it."""
        if self.base is None or self.scale is None:
            return emit(self.left, self.right, self.kind)
        return merge(self.base, self.left, self.right, self.scale, self.kind)

    def launched(self) -> Stored:
        """The kernel, wherever the operands lie."""
        from modelgpt_edge.kernels.emit import triton as emit_fast
        from modelgpt_edge.kernels.merge import triton as merge_fast

        if self.base is None or self.scale is None:
            return emit_fast.emit(self.left, self.right, self.kind, None, None)
        return merge_fast.merge(self.base, self.left, self.right, self.scale, self.kind)

    def part(self, result: Stored | BatchSums, group: int) -> Tensor:
        """Weights (m, n)."""
        assert isinstance(result, Stored)
        return result.floats(group)

    def exact(self, groups: Longs) -> Sequence[Tensor]:
        """The same groups in float64, each as the one request of a layer of its own."""
        left, right = _exact(self.left.take(groups)), _exact(self.right.take(groups))
        if self.base is None or self.scale is None:
            return list(emit_naive.emit(left, right, torch.float64, None, None).values)
        base, scale = _exact(self.base.take(groups // self.requests)), self.scale.double().flatten()[groups].view(-1, 1)
        return list(merge_naive.merge(base, left, right, scale, torch.float64).values)

    def fault(self, result: Stored | BatchSums, group: int, wanted: Tensor) -> str:
        """Held against the tolerance of the type stored."""
        assert isinstance(result, Stored)
        length = int(self.left.columns[group]) + (self.base is not None)
        if result.steps is not None:
            return code_fault(result.values[group], result.steps[group], wanted, length)
        return float_fault(result.values[group], wanted, length, self.kind)


@dataclass(frozen=True, eq=False)
class Tables:
    """Operands of `gram`, of one size of table."""

    inputs: Ragged
    targets: Ragged
    units: BatchUnits

    @property
    def count(self) -> int:
        """Tables."""
        return len(self.inputs)

    def ours(self) -> BatchSums:
        """The operation as callers call it."""
        return gram(self.inputs, self.targets, self.units)

    def launched(self) -> BatchSums:
        """The kernel, wherever the operands lie."""
        from modelgpt_edge.kernels.gram import triton as fast

        return fast.gram(self.inputs, self.targets, self.units)

    def part(self, result: Stored | BatchSums, group: int) -> Tensor:
        """All sums of a table."""
        assert isinstance(result, BatchSums)
        return result.matrix[group]

    def exact(self, groups: Longs) -> Sequence[Tensor]:
        """The same tables in float64."""
        weight, offset = self.units.weight.take(groups), self.units.offset.take(groups)
        units = BatchUnits(_exact(weight), _exact(offset))
        return list(gram_naive.gram(_exact(self.inputs.take(groups)), _exact(self.targets.take(groups)), units).matrix)

    def fault(self, result: Stored | BatchSums, group: int, wanted: Tensor) -> str:
        """Held against the tolerance of float32 and of the rows of one segment."""
        from modelgpt_edge.kernels.gram.triton import SEGMENT

        assert isinstance(result, BatchSums)
        rows, columns = int(self.inputs.rows[group]), int(self.inputs.columns[group])
        return float_fault(result.matrix[group], wanted, min(rows, SEGMENT) + columns, torch.float32)


def draw(case: Case, place: torch.device) -> Factors | Tables:
    """The operands of a case, normal; leaf units' offsets and merge's scales as they occur."""
    dice = torch.Generator(place).manual_seed(zlib.crc32(case.name.encode()))
    kind = DTYPES[case.held]
    if isinstance(case.shape, Table):
        t, n = case.shape, case.requests
        offset = torch.randint(0, 3, (n, 1, t.leaf), generator=dice, device=place).to(kind)
        weight = _normal([(t.columns + 1, t.tanh + 3 * t.leaf)] * n, kind, dice)
        rows = _normal([(t.rows, t.columns)] * n, kind, dice)
        return Tables(rows, _normal([(t.rows, t.outputs)] * n, kind, dice), BatchUnits(weight, Ragged.batch(offset)))
    each = [layer for layer in case.shape for _ in range(case.requests)]
    left = _normal([(layer.inputs, case.rank) for layer in each], kind, dice)
    if case.shared:
        own = np.repeat(np.arange(len(case.shape)), case.requests)
        right = _normal([(case.rank, layer.outputs) for layer in case.shape], kind, dice).take(own)
    else:
        right = _normal([(case.rank, layer.outputs) for layer in each], kind, dice)
    if case.kernel == "emit":
        return Factors(left, right, DTYPES[case.stored], case.shape, shared=case.shared)
    base = _normal([(layer.inputs, layer.outputs) for layer in case.shape], kind, dice)
    eighths = torch.randint(1, 17, (len(case.shape), case.requests), generator=dice, device=place)
    return Factors(left, right, DTYPES[case.stored], case.shape, base, eighths / 8, case.shared)


def sample(work: Factors | Tables) -> Longs:
    """Groups to hold against the reference: the first, the last, and some between."""
    most = MOST_TABLES if isinstance(work, Tables) else MOST_GROUPS
    return np.unique(np.linspace(0, work.count - 1, most).astype(np.int64))


def _normal(sizes: Sequence[tuple[int, int]], kind: torch.dtype, dice: torch.Generator) -> Ragged:
    rows, columns = np.array(sizes, np.int64).T
    made = Ragged.empty(rows, columns, kind, dice.device)
    made.data.normal_(generator=dice)
    return made


def _exact(ragged: Ragged) -> Ragged:
    """The matrices alone in float64: what else the buffer holds may be much."""
    return Ragged.of([matrix.double() for matrix in ragged])
