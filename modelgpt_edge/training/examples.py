"""One synthetic table as the generator will meet it: encoded by the product's encoder, with what the floor says of its rows.

numpy alone. Context rows have leave-one-out scores, so that what the generator learns to correct is the floor's error on rows
that it has not seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Floats
from modelgpt_edge.parameters.cells import cells
from modelgpt_edge.parameters.encoder import fit_encoder
from modelgpt_edge.parameters.floor import group_scale
from modelgpt_edge.parameters.logistic import logistic_head
from modelgpt_edge.parameters.prepare import classification_targets
from modelgpt_edge.parameters.relevance import relevance
from modelgpt_edge.parameters.ridge import RidgeHead, classification_head, decompose, leave_one_out
from modelgpt_edge.parameters.units import DRAW, Widths, draw_units
from modelgpt_edge.training.priors import Drawn
from modelgpt_edge.training.priors.table import Places

# The floor whose errors are learnt: one draw of half the width, for what is left over is much the same for all of them.
FLOOR = DRAW.scaled(320)
HALF = np.float32(0.5)


@dataclass(frozen=True)
class Example:
    """One table of N rows: C columns, K classes, the context rows first, then the query rows.

    Attributes:
        cells: (N, C, 12), encoded as fitted on the context rows.
        labels: one-hot (N, K).
        scores: the floor's logits (N, K): leave-one-out on context rows, as for any new row on query rows.
        context: number of context rows.
    """

    cells: Floats
    labels: Floats
    scores: Floats
    context: int


def example(table: Drawn, context: int, rng: np.random.Generator) -> Example | None:
    """The example of a drawn table whose rows are shuffled and cut after `context` of them.

    Returns:
        None where a class has no context row, or where the floor's solve breaks down.
    """
    order = rng.permutation(len(table.targets))
    labels = classification_targets(table.targets[order].astype(np.int32), table.classes)
    if not labels[:context].any(0).all():
        return None
    numbers = {f"n{i}": column[order] for i, column in enumerate(table.numbers.T)}
    words = {f"c{i}": _words(column[order]) for i, column in enumerate(table.codes.T)}
    encoder = fit_encoder(
        {name: column[:context] for name, column in numbers.items()}, [], {name: w[:context] for name, w in words.items()}
    )
    encoded = encoder.encode(*encoder.pack(numbers, words, len(order)))
    try:
        scores = floor_scores(encoded[:context], labels[:context], encoded[context:], FLOOR, rng)
    except np.linalg.LinAlgError:
        return None
    if not np.isfinite(scores).all():
        return None
    return Example(cells(encoder, encoded), labels, scores, context)


def floor_scores(encoded: Floats, labels: Floats, query: Floats, widths: Widths, rng: np.random.Generator) -> Floats:
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


def _words(codes: Places) -> NDArray[np.object_]:
    """A category column as files hold it: words, "" where missing."""
    return np.array(["" if code < 0 else f"w{code}" for code in codes], object)
