"""Memory as compiled functions want it: each array begins at a multiple of 64 bytes, as vector loads need it."""

from __future__ import annotations

import numpy as np

ALIGNMENT = 64


def aligned(array: np.ndarray) -> np.ndarray:
    """An aligned, contiguous copy."""
    memory = np.empty(array.nbytes + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
