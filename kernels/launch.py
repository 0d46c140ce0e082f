"""What launching a Triton kernel takes: lists of tiles over ragged sizes, tables of sizes and offsets, configurations.

A configuration is tuned once for the types of the operands and not for their sizes, so that a request alone and in a batch
goes through the same instructions and gives the same bits. The winner is kept on disk, in Triton's cache; a server tunes on
large shapes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch  # noqa: TID251 - operands are torch tensors
import triton
from numpy.typing import NDArray

from modelgpt_edge.kernels.ragged import Longs
from modelgpt_edge.kernels.transfer import send

INTERPRETED: bool = triton.knobs.runtime.interpret
# Types of the operands and of the weights written, that are compiled ahead of time and tuned; and what torch calls them.
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "i8": torch.int8}
TYPES = (("fp16", "fp16"), ("fp16", "i8"), ("bf16", "bf16"), ("fp32", "fp32"), ("fp32", "fp16"), ("fp32", "i8"))


@dataclass(frozen=True)
class Variant:
    """One specialisation of a kernel, as a launch with aligned operands makes it: what is compiled ahead of time.

    Attributes:
        kernel: the tuned kernel.
        name: of the kernel and its types, for people.
        types: of the arguments that are no constants, "*fp16", "i32", by name.
        constants: the other arguments, less those of the configuration.
        aligned: rows of the operands begin at multiples of 16 bytes.
    """

    kernel: Any
    name: str
    types: Mapping[str, str]
    constants: Mapping[str, Any]
    aligned: bool

    def storing(self, stored: str) -> Variant:
        """The same with the argument `step`, which only int8 has."""
        if stored == "i8":
            return replace(self, types={**self.types, "step": "*fp32"})
        return replace(self, constants={**self.constants, "step": None})


def tuned(*configurations: triton.Config) -> Any:
    """Decorator: the fastest of the configurations for each combination of operand types."""
    # Nothing can be timed in the interpreter.
    chosen = configurations[:1] if INTERPRETED else configurations
    return triton.autotune(list(chosen), key=[], cache_results=True)


def on(device: torch.device) -> AbstractContextManager[Any]:
    """Launch on the device of the operands, whichever is the current one."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def table(device: torch.device, *columns: Longs) -> torch.Tensor:
    """Numbers (G,) each as one table (G, len(columns)) of int64 on the device."""
    return send(np.stack(columns, axis=1).astype(np.int64), device)


def strip_of(width: int, held: torch.dtype, *units: int) -> int:
    """Columns of a strip: half of `width` for float32 whose rows begin anywhere, for their addresses take registers."""
    return width // 2 if held == torch.float32 and 4 * min(units) < 16 else width


def list_tiles(rows: Longs, columns: Longs, rows_each: int, width: int, *, whole: bool) -> NDArray[np.int32]:
    """Tiles (T, 3) of matrices of the sizes (G,) given: group, first row, number of the strip of `width` columns.

    Args:
        rows_each: rows of a tile.
        whole: a tile has all rows of its strip, and there is one where there is no row.
    """
    strips = -(-columns // width)
    count = strips * (1 if whole else -(-rows // rows_each))
    group = np.repeat(np.arange(len(rows)), count)
    within = np.arange(len(group)) - np.repeat(np.cumsum(count) - count, count)
    block, strip = np.divmod(within, np.maximum(strips, 1)[group])
    return np.stack([group, block * rows_each, strip], axis=1).astype(np.int32)
