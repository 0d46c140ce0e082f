"""What a floor says of rows that it hasn't seen, its own rows among them: the scores that the corrector reads."""

from __future__ import annotations

import numpy as np

from modelgpt_edge.child import Floats
from modelgpt_edge.parameters.floor import group_scale
from modelgpt_edge.parameters.logistic import logistic_head
from modelgpt_edge.parameters.relevance import relevance
from modelgpt_edge.parameters.ridge import RidgeHead, classification_head, decompose, leave_one_out
from modelgpt_edge.parameters.units import DRAW, Widths, draw_units

# The floor whose errors are learnt: one draw of half the width, for what is left over is much the same for all of them.
FLOOR = DRAW.scaled(320)
HALF = np.float32(0.5)


def floor_scores(encoded: Floats, labels: Floats, query: Floats, rng: np.random.Generator, widths: Widths = FLOOR) -> Floats:
    """The floor's logits (N + M, K) of one draw: leave-one-out on the N rows it is solved on, plain on M others.

    Leave-one-out is the ridge head's; other rows get the mean of the ridge and the logistic head, as in a shipped child.

    Args:
        encoded: (N, D); labels: one-hot (N, K); query: (M, D).
    """
    units = draw_units(encoded, labels, relevance(encoded, labels), widths, 1, rng)
    features = np.concatenate([encoded, units.activate(encoded)], axis=1)
    scale = group_scale(features, units, widths.dense)
    problem = decompose(features * scale, labels)
    head = classification_head(problem)
    left_out = leave_one_out(problem, np.array([head.penalty]))[0] * _temperature(head)
    coordinates, offset = logistic_head(problem, head)
    weight, bias = problem.weights(HALF * (head.coordinates + coordinates), HALF * (head.offset + offset))
    fresh = np.concatenate([query, units.activate(query)], axis=1) * scale
    return np.concatenate([left_out, fresh @ weight + bias]).astype(np.float32)


def _temperature(head: RidgeHead) -> np.float32:
    """The factor that made logits of a classification head: its offset is the class shares times it, and shares sum to one."""
    return np.float32(head.offset.sum())
