"""Gram sums on the host: block by block in float32, collected in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
BLOCK = 4096


@dataclass
class GramSums:
    """Running sums over rows: gram F'F (P, P), cross F'Y (P, K), features (P,), targets (K,), and the row count."""

    gram: NDArray[np.float64]
    cross: NDArray[np.float64]
    features: NDArray[np.float64]
    targets: NDArray[np.float64]
    rows: int = 0

    @staticmethod
    def zeros(width: int, outputs: int) -> GramSums:
        """Empty sums for P features and K targets."""
        return GramSums(np.zeros((width, width)), np.zeros((width, outputs)), np.zeros(width), np.zeros(outputs))


def add_rows(sums: GramSums, inputs: Floats, targets: Floats, features: Callable[[Floats], Floats]) -> None:
    """Add rows to the sums: inputs (N, D) become features (P,) a block of 4,096 rows at a time.

    Args:
        features: maps inputs (B, D) to features (B, P).
    """
    for start in range(0, len(inputs), BLOCK):
        f, y = features(inputs[start : start + BLOCK]), targets[start : start + BLOCK]
        sums.gram += f.T @ f
        sums.cross += f.T @ y
        sums.features += f.sum(0, dtype=np.float64)
        sums.targets += y.sum(0, dtype=np.float64)
        sums.rows += len(f)
