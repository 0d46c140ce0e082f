"""From a signal to targets: how classes are cut, how noisy and how uneven they are; for regression the value and its law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelgpt_edge.training.priors.laws import log_uniform, noise, normal, pick, standardise
from modelgpt_edge.training.priors.regions import WAYS, ordered
from modelgpt_edge.training.priors.table import Floats, Places, World

TRIES = 4
# How often classes are cut in each way; with two classes an ordered cut of one value is what most real tables are like.
OFTEN = {
    "ordered": 0.34,
    "stripes": 0.06,
    "strongest": 0.15,
    "sampled": 0.11,
    "prototypes": 0.1,
    "leaves": 0.12,
    "first rule": 0.09,
    "remainders": 0.03,
}


@dataclass(frozen=True)
class Cut:
    """How a table's target is read from a signal.

    Attributes:
        way: a name of `WAYS`; "value" for regression.
        width: values of the signal that it needs.
        raw: whether the signal should be columns or nodes as they are.
    """

    way: str
    width: int
    raw: bool


def draw_cut(rng: np.random.Generator, classes: int) -> Cut:
    """A way of cutting K classes; `classes` 0 stands for regression."""
    if not classes:
        return Cut("value", 1, False)
    way = pick(rng, OFTEN)
    if way in ("ordered", "stripes"):
        return Cut(way, 1, bool(rng.random() < 0.05))
    if way in ("strongest", "sampled"):
        return Cut(way, classes, False)
    return Cut(way, int(rng.integers(2, 6)), bool(rng.random() < 0.6))


def fewest(rows: int, classes: int) -> int:
    """Rows that the smallest class must have: 4 or 2 %, and less only where the rows don't suffice."""
    return max(1, min(max(4, -(-rows // 50)), rows // (2 * classes)))


def draw_labels(rng: np.random.Generator, world: World, cut: Cut, classes: int) -> Places:
    """Places of the classes, (N,): every class occurs, the smallest in `fewest` rows at least."""
    rows = len(world.signal)
    labels = world.labels if world.labels is not None else _from_signal(rng, world.signal, cut, classes)
    labels = rng.permutation(classes)[labels].astype(np.int32)
    if rng.random() < (0.3 if world.labels is not None else 0.15):
        drawn = rng.integers(0, classes, rows).astype(np.int32)
        flipped = np.where(rng.random(rows) < log_uniform(rng, 0.02, 0.2) * classes / (classes - 1), drawn, labels)
        if complete(flipped, classes):
            return flipped
    if complete(labels, classes):
        return labels
    # Rank order always fills every class: equal parts of the first value, a grain of noise deciding ties.
    ranks = np.argsort(np.argsort(world.signal[:, 0] + np.float32(1e-3) * normal(rng, rows)))
    return (ranks * classes // rows).astype(np.int32)


def _from_signal(rng: np.random.Generator, signal: Floats, cut: Cut, classes: int) -> Places:
    if rng.random() < 0.38:
        signal = signal + noise(rng, *signal.shape) * np.float32(log_uniform(rng, 0.05, 2.0))
    for _ in range(TRIES):
        labels = WAYS[cut.way](rng, signal, classes)
        if complete(labels, classes):
            return labels
    return ordered(rng, signal, classes)


def complete(labels: Places, classes: int) -> bool:
    """Whether each class has `fewest` rows at least."""
    return bool(np.bincount(labels, minlength=classes).min() >= fewest(len(labels), classes))


def draw_values(rng: np.random.Generator, world: World) -> Floats:
    """Values of a regression target, (N,), mean 0 and deviation 1; skewed, stepped or bounded in part of the tables."""
    value = world.signal[:, :1]
    if rng.random() < 0.8:
        value = value + noise(rng, len(value), 1) * np.float32(log_uniform(rng, 0.03, 1.0))
    scale = pick(rng, {"plain": 0.55, "skewed": 0.25, "steps": 0.1, "bounded": 0.1})
    if scale == "skewed":
        value = np.exp(standardise(value) * np.float32(rng.uniform(0.2, 0.9)))
    elif scale == "steps":
        value = np.round(value * np.float32(log_uniform(rng, 1, 8)))
    elif scale == "bounded":
        value = np.clip(value, *np.quantile(value, (rng.uniform(0, 0.15), rng.uniform(0.85, 1))))
    # Once more, for the cut at the largest deviations shrinks the spread.
    return standardise(standardise(value))[:, 0]
