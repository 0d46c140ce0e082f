"""The mechanisms by name, a table's own taste for them, and how a target's signal comes of a few of many values."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from modelgpt_edge.training.priors.gaussian_process import gaussian_process
from modelgpt_edge.training.priors.laws import log_uniform, normal, pick, standardise, subset
from modelgpt_edge.training.priors.neural import linear, neural
from modelgpt_edge.training.priors.products import products
from modelgpt_edge.training.priors.table import Floats
from modelgpt_edge.training.priors.trees import trees

Mechanism = Callable[[np.random.Generator, Floats, int], Floats]

MECHANISMS: Mapping[str, Mechanism] = {
    "linear": linear,
    "neural": neural,
    "trees": trees,
    "gaussian process": gaussian_process,
    "products": products,
}
# How often each is drawn over all tables, and how many parents it may take: an interaction of many is noise to any learner.
WEIGHTS = {"linear": 0.3, "neural": 0.2, "trees": 0.26, "gaussian process": 0.14, "products": 0.1}
WIDEST = {"linear": 30, "neural": 8, "trees": 8, "gaussian process": 5, "products": 3}


def draw_taste(rng: np.random.Generator) -> dict[str, float]:
    """A table's weights of the mechanisms: mostly of one or two kinds, as real tables are."""
    return {name: weight * float(rng.standard_gamma(0.5)) for name, weight in WEIGHTS.items()}


def respond(rng: np.random.Generator, values: Floats, width: int, taste: Mapping[str, float]) -> Floats:
    """A signal of mean 0 and deviation 1, (N, width): the sum of one to three mechanisms of some columns of `values` (N, F)."""
    total = values.shape[1]
    used = subset(rng, total, max(1, min(total, round(log_uniform(rng, 1.5, 20)))))
    signal = np.zeros((len(values), width), np.float32)
    for _ in range(1 + int(rng.random() < 0.4) + int(rng.random() < 0.2)):
        name = pick(rng, taste)
        parents = values[:, used[subset(rng, len(used), WIDEST[name])]]
        signal += standardise(MECHANISMS[name](rng, parents, width)) * np.float32(log_uniform(rng, 0.3, 1.5))
    return standardise(signal)


def watch(rng: np.random.Generator, values: Floats, width: int) -> Floats:
    """A signal that is some columns of `values` themselves, (N, width): boundaries along the axes come of it."""
    total = values.shape[1]
    chosen = subset(rng, total, width)
    shown = values[:, chosen]
    if width > total:
        shown = np.concatenate([shown, values @ normal(rng, total, width - total)], axis=1)
    return standardise(shown)
