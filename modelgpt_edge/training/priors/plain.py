"""The plain case: columns are given, and the target is a function of a few of them.

Also its opposite: classes that cause the columns.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modelgpt_edge.training.priors.inputs import draw_inputs
from modelgpt_edge.training.priors.laws import log_uniform, normal, shares, standardise
from modelgpt_edge.training.priors.mechanisms import respond, watch
from modelgpt_edge.training.priors.neural import neural
from modelgpt_edge.training.priors.table import World


def draw_plain(rng: np.random.Generator, rows: int, features: int, width: int, raw: bool, taste: Mapping[str, float]) -> World:
    """A world of given columns, some of them with few levels, and a signal that is a function of them.

    Args:
        rng: source of randomness.
        rows: number of rows, N.
        features: number of columns, F.
        width: values of the signal, T.
        raw: whether the signal is made of columns as they are.
        taste: weights of the mechanisms.
    """
    values = draw_inputs(rng, rows, features)
    levels = np.zeros(features, np.int32)
    if rng.random() < 0.4:
        # Categories that act by themselves: each level has an effect of its own, in no order.
        for column in np.flatnonzero(rng.random(features) < rng.uniform(0.1, 0.9)):
            levels[column] = size = 2 + int(rng.geometric(0.35))
            bounds = np.quantile(values[:, column], np.cumsum(shares(rng, size, 2.0, 0.02))[:-1])
            values[:, column] = np.searchsorted(bounds, values[:, column])
    causes = values.copy()
    for column in np.flatnonzero(levels):
        causes[:, column] = normal(rng, levels[column])[values[:, column].astype(np.intp)]
    causes = standardise(causes)
    return World(values, levels, watch(rng, causes, width) if raw else respond(rng, causes, width, taste))


def draw_clusters(rng: np.random.Generator, rows: int, features: int, classes: int) -> World:
    """A world whose rows are scattered about the centres of their class, one centre or a few a class.

    Where all clusters share one shape the best boundary is linear (Fisher 1936); otherwise it is quadratic.
    """
    each = 1 if rng.random() < 0.5 else int(rng.integers(2, 5))
    parts = shares(rng, classes, 1.5 if rng.random() < 0.5 else 20.0, 0.03)
    label = np.searchsorted(np.cumsum(parts)[:-1], rng.random(rows, dtype=np.float32)).astype(np.int32)
    cluster = label * each + rng.integers(0, each, rows)
    informative = max(1, min(features, round(log_uniform(rng, 1.5, 16))))
    centres = normal(rng, classes * each, informative) * np.float32(log_uniform(rng, 0.3, 2.5))
    shapes = 1 if rng.random() < 0.5 else classes * each
    skew = normal(rng, shapes, informative, informative) * np.float32(rng.uniform(0, 0.7))
    spread = np.eye(informative, dtype=np.float32) + skew
    scatter = normal(rng, rows, informative)
    values = centres[cluster]
    for shape in range(shapes):
        inside = cluster == shape if shapes > 1 else slice(None)
        values[inside] += scatter[inside] @ spread[shape]
    values = standardise(values)
    if rng.random() < 0.3:
        values = standardise(values + standardise(neural(rng, values, informative)))
    rest = features - informative
    if rest:
        # The other columns repeat mixtures of the informative ones in noise, or say nothing.
        mixed = values @ (normal(rng, informative, rest) * (rng.random(rest) < rng.random()))
        mixed += normal(rng, rows, rest) * np.float32(log_uniform(rng, 0.1, 2))
        values = np.concatenate([values, standardise(mixed)], axis=1)
    return World(values, np.zeros(features, np.int32), values[:, :1], label)
