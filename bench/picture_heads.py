"""What benches of pictures share: the score, heads on bare features that are given as weight and bias, and an untrained trunk.

Nothing is read or embedded here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from modelgpt_edge.architecture.image.scales import Scales

STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)


def balanced(scores: np.ndarray, truth: np.ndarray) -> float:
    """Mean over classes of the share that is right."""
    found = scores.argmax(1)
    return float(np.mean([(found[truth == k] == k).mean() for k in np.unique(truth)]))


def as_built(scales: Scales, values: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias on a trunk's bare features, as a build solves and folds them.

    Args:
        scales: of the features, `TrunkTemplate.linear`.
    """
    from modelgpt_edge.parameters.image.generate import generate_pictures
    from modelgpt_edge.parameters.image.space import Traits

    given = generate_pictures((values,), labels.astype(np.int32), None, int(labels.max()) + 1, traits=Traits(scales))
    return given.space.folded(given.head.weight, given.head.bias)


def logistic(values: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias on bare features, by scikit-learn's logistic regression on centred ones of unit total variance."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    mean = values.mean(0)
    scale = np.full(values.shape[1], 10 / np.sqrt(((values - mean) ** 2).sum(1).mean()))
    seen = (values - mean) * scale
    folds = min(3, int(np.bincount(labels).min()))
    model = LogisticRegression(max_iter=1000)
    if folds > 1:
        grid = {"C": list(STRENGTHS)}
        model.C = GridSearchCV(model, grid, cv=folds, scoring="neg_log_loss").fit(seen, labels).best_params_["C"]
    model.fit(seen, labels)
    return _unscaled(model.coef_.T, model.intercept_, mean, scale)


def _unscaled(weight: np.ndarray, bias: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    bare = weight * scale[:, None]
    return bare.astype(np.float32), (bias - mean @ bare).astype(np.float32)


def untrained(trunk: Any) -> Any:
    """The same trunk as it would begin: random convolutions."""
    rng = np.random.default_rng(0)
    weights = {}
    for name, sizes in trunk.shape.arrays.items():
        reach = np.sqrt(2 / np.prod(sizes[:-1])) / (64 if name == "0.weight" else 1)
        weights[name] = (reach * rng.normal(size=sizes) * name.endswith("weight")).astype(np.float32)
    return replace(trunk, weights=weights)
