"""Pictures where the user gave none: for golden rows and calibration, so that a model from names alone is checked too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SAMPLES = 16


def sample_pictures(size: int, count: int = SAMPLES) -> NDArray[np.uint8]:
    """Random pictures (N, S, S, 3), the same every time: sums of coloured waves, as bright and as rough as photographs."""
    draw = np.random.default_rng(0)
    across, down = np.meshgrid(np.linspace(0, 1, size), np.linspace(0, 1, size))
    pictures = np.empty((count, size, size, 3))
    for picture in pictures:
        waves = np.zeros((size, size, 3))
        for octave in range(1, 7):
            angle, phase = draw.uniform(0, 2 * np.pi, (2, 4))
            lines = across[..., None] * np.cos(angle) + down[..., None] * np.sin(angle)
            waves += np.sin(2 * np.pi * 2**octave / 2 * lines + phase) @ draw.normal(size=(4, 3)) / octave
        picture[:] = 128 + 55 * waves / waves.std() + draw.normal(0, 25, 3)
    return np.clip(pictures, 0, 255).astype(np.uint8)
