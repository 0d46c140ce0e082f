"""What a contender is to the benches: a function from raw training columns to something that predicts raw rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from encoding import Raw


@dataclass(frozen=True)
class Fitted:
    """A fitted contender.

    Attributes:
        outputs: raw rows to probabilities (N, K) in the order of `classes`, or values (N, 1) for regression.
        classes: class names of the training part; empty for regression.
        model_bytes: size of what was fitted (pickled for peers, the parameters' bytes for ours).
        fit_seconds: raw training columns to a fitted model, imports left out.
    """

    outputs: Callable[[Raw], np.ndarray]
    classes: tuple[str, ...]
    model_bytes: int
    fit_seconds: float


@dataclass(frozen=True)
class Contender:
    """A contender of the accuracy bench.

    Attributes:
        key: its name on the command line.
        title: its name in results and tables.
        needs: modules that must import, done before the clock starts.
        distributions: packages whose versions its results record.
        kinds: label kinds that it takes.
        fit: (training columns, label column's name, kind, seed) to a fitted model; the columns hold the label's.
    """

    key: str
    title: str
    needs: tuple[str, ...]
    distributions: tuple[str, ...]
    kinds: tuple[str, ...]
    fit: Callable[[dict[str, list], str, str, int], Fitted]
