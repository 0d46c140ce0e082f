"""One synthetic table as the generator will meet it: encoded by the product's encoder, with what the floor says of its rows.

numpy alone. Context rows have leave-one-out scores, so that what the generator learns to correct is the floor's error on rows
that it has not seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Encoder, Floats
from modelgpt_edge.parameters.cells import cells
from modelgpt_edge.parameters.encoder import fit_encoder
from modelgpt_edge.parameters.left_out import floor_scores
from modelgpt_edge.parameters.prepare import classification_targets
from modelgpt_edge.parameters.relevance import relevance
from modelgpt_edge.training.priors import Drawn
from modelgpt_edge.training.priors.table import Places

# Share of the columns named in a task that are named at random, and the chance that no more columns are named after one.
MISNAMED, LAST_NAME = 0.2, 0.5


@dataclass(frozen=True)
class Example:
    """One table of N rows: C columns, K classes, the context rows first, then the query rows.

    Attributes:
        cells: (N, C, 13), encoded as fitted on the context rows; some columns are named.
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
        scores = floor_scores(encoded[:context], labels[:context], encoded[context:], rng)
    except np.linalg.LinAlgError:
        return None
    if not np.isfinite(scores).all():
        return None
    return Example(cells(encoder, encoded, draw_named(encoder, relevance(encoded, labels), rng)), labels, scores, context)


def draw_named(encoder: Encoder, weight: Floats, rng: np.random.Generator) -> frozenset[str]:
    """Columns that a person would name in the task: some that matter, and one in five at random.

    Args:
        weight: relevance (D,) of the encoded columns over all rows, query rows too: what a person knows of the matter.
    """
    owners = np.array(encoder.owners())
    names = np.unique(owners)
    share = np.array([weight[owners == name].max() for name in names], np.float64)
    share = (1 - MISNAMED) * share / share.sum() + MISNAMED / len(names)
    count = min(len(names), int(rng.geometric(LAST_NAME)))
    return frozenset(rng.choice(names, count, replace=False, p=share / share.sum()).tolist())


def _words(codes: Places) -> NDArray[np.object_]:
    """A category column as files hold it: words, "" where missing."""
    return np.array(["" if code < 0 else f"w{code}" for code in codes], object)
