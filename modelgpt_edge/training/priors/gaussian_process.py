"""Gaussian-process mechanisms: smooth random functions of random Fourier features (Rahimi and Recht 2007).

Each input has a length scale of its own.
"""

from __future__ import annotations

import numpy as np

from modelgpt_edge.training.priors.laws import log_uniform, normal
from modelgpt_edge.training.priors.table import Floats

FEATURES = 48


def gaussian_process(rng: np.random.Generator, parents: Floats, width: int) -> Floats:
    """Draws of a Gaussian process, (N, P) -> (N, width).

    The spectrum is normal (RBF kernel) or Student with few degrees of freedom (Matern kernels): its tails
    make rough functions.
    """
    inputs = parents.shape[1]
    frequencies = normal(rng, inputs, FEATURES)
    if rng.random() < 0.5:
        freedom = float(rng.choice((1.0, 3.0, 5.0)))
        frequencies *= np.sqrt(freedom / np.maximum(rng.chisquare(freedom, FEATURES), 0.05)).astype(np.float32)
    lengths = log_uniform(rng, 0.7, 3.0) * np.exp(0.6 * normal(rng, inputs, 1))
    phases = rng.random(FEATURES, dtype=np.float32) * np.float32(2 * np.pi)
    return np.cos(parents @ (frequencies / lengths / np.sqrt(np.float32(inputs))) + phases) @ normal(rng, FEATURES, width)
