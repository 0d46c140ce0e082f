"""What the batched operations refuse: a kernel that believed wrong sizes would read beyond its operands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelgpt_edge.errors import InputError
from modelgpt_edge.kernels.ragged import Longs, Ragged

if TYPE_CHECKING:
    from torch import Tensor  # noqa: TID251 - types alone


def same(what: str, got: Longs, wanted: Longs) -> None:
    """Raise InputError, naming the first group, unless the sizes (G,) are those wanted."""
    if len(got) != len(wanted):
        raise InputError(f"{what}: another number of groups", seen=len(got), cure=f"Pass {len(wanted)}.")
    if (got != wanted).any():
        group = int((got != wanted).argmax())
        raise InputError(
            f"{what} don't fit", where=f"group {group}", seen=int(got[group]), cure=f"It must be {int(wanted[group])}."
        )


def alike(what: str, first: Ragged, *others: Ragged) -> None:
    """Raise InputError unless all operands lie on one device and have one type."""
    for other in others:
        if (other.data.dtype, other.data.device) != (first.data.dtype, first.data.device):
            seen = f"{other.data.dtype} on {other.data.device}"
            cure = f"Bring all to {first.data.dtype} on {first.data.device}."
            raise InputError(f"{what} differ in type or device", seen=seen, cure=cure)


def shaped(what: str, tensor: Tensor, *shape: int) -> None:
    """Raise InputError unless the tensor has the shape wanted."""
    if tuple(tensor.shape) != shape:
        raise InputError(f"{what} has another shape", seen=tuple(tensor.shape), cure=f"It must be {shape}.")
