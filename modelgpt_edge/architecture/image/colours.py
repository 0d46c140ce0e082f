"""Let a trunk tell colours: three channels that hand red, green and blue through its layers, beside those that it learnt.

A trunk that learns from pictures of any tint and inverted ones sees shapes in whatever colour, and hardly the colour itself.
What tells a ripe fruit from a green one is handed through untouched instead: by the layers that there are, at no new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from modelgpt_edge.architecture.image.trunk_shape import COLOURS, TrunkShape
from modelgpt_edge.child import Floats
from modelgpt_edge.network import MIDDLE

# Brings bytes to about what activations are, with which they share the steps of int8.
SHARE = 1 / 64


def with_colours(shape: TrunkShape, weights: Mapping[str, Floats]) -> tuple[TrunkShape, dict[str, Floats]]:
    """The trunk with `COLOURS` channels more in every layer, the last ones: means of the pixels beneath, over 64.

    Args:
        weights: by the names of ``shape.arrays``; bytes less `network.MIDDLE` go in.
    """
    wider = replace(shape, steps=tuple(replace(step, outputs=step.outputs + COLOURS) for step in shape.steps))
    made: dict[str, Floats] = {}
    for place, step in enumerate(wider.steps):
        old, middle = weights[f"{place}.weight"], step.kernel // 2
        weight = np.zeros(wider.arrays[f"{place}.weight"], np.float32)
        bias = np.zeros(step.outputs, np.float32)
        bias[:-COLOURS] = weights[f"{place}.bias"]
        # A step of two pixels takes the mean of both, or every other pixel would go unseen.
        taps = slice(middle, middle + (step.stride if step.kernel > 1 else 1))
        seen = weight[taps, taps]
        share = (SHARE if place == 0 else 1.0) / (seen.shape[0] * seen.shape[1])
        if step.depthwise:
            weight[..., :-COLOURS] = old
            seen[..., -COLOURS:] = share
        else:
            before = old.shape[2]
            weight[:, :, :before, :-COLOURS] = old
            for colour in range(COLOURS):
                seen[:, :, colour - COLOURS, colour - COLOURS] = share
        if place == 0:
            bias[-COLOURS:] = SHARE * MIDDLE
        made[f"{place}.weight"], made[f"{place}.bias"] = weight, bias
    return wider, made
