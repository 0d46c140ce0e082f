"""What the prior draws: one synthetic table as arrays, before any encoding. Every mechanism of the prior ends here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Places = NDArray[np.int32]


@dataclass(frozen=True)
class Drawn:
    """One synthetic table.

    Attributes:
        numbers: number columns, (N, A), in scales of their own; NaN where a cell is missing.
        codes: category columns, (N, B), places 0 to size - 1; -1 where a cell is missing.
        sizes: categories of each category column, (B,); each of them occurs.
        targets: places of the classes, (N,) int32, all of 0 to K - 1 occur; for regression float32 values of mean 0 and
            deviation 1.
        classes: K, or 0 for regression.
    """

    numbers: Floats
    codes: Places
    sizes: Places
    targets: Places | Floats
    classes: int


@dataclass(frozen=True)
class World:
    """What a structure (graph, clusters, rules...) draws: latent values that columns and targets are made of.

    Attributes:
        features: what columns may show, (N, F); of mean 0 and deviation 1, or whole levels from 0 where `levels` is not 0.
        levels: how many levels a feature has, (F,); 0 for continuous ones.
        signal: what the target is read from, (N, T); of mean 0 and deviation 1.
        labels: places of the classes, (N,), where the structure decides them itself; otherwise None.
    """

    features: Floats
    levels: Places
    signal: Floats
    labels: Places | None = None
