"""Correct what a wide emission says before it is distilled: the trained generator's way into a child.

Corrections are out of fold: no row's label, nor that of the row it was crossed from, is shown to the corrector that corrects
it, for what has seen the label makes small children worse. What is corrected is still what the wide emission says of its own
training rows. numpy alone.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Encoder, Floats
from modelgpt_edge.parameters.cells import cells
from modelgpt_edge.parameters.corrector import Corrector
from modelgpt_edge.parameters.distil import Match
from modelgpt_edge.parameters.left_out import floor_scores
from modelgpt_edge.parameters.prepare import Prepared
from modelgpt_edge.parameters.relevance import relevance

FOLDS = 4
# The most rows and raw columns that the corrector reads, about as many as it was trained on; and the fewest rows.
CONTEXT, COLUMNS, FEWEST = 500, 40, 8


def correct(
    match: Match, corrector: Corrector, ready: Prepared, targets: Floats, named: Collection[str], rng: np.random.Generator
) -> Match:
    """The match with corrected scores, or as it is where a table has too few rows to correct anything by.

    Args:
        ready: the training rows that the match was made of, all of them.
        targets: one-hot classes (N, K) of those rows.
        named: columns that the requirement names.
    """
    if len(targets) < FEWEST * FOLDS // (FOLDS - 1):
        return match
    fold = rng.permutation(len(targets)) % FOLDS
    asked = fold[match.origin]
    corrected = match.scores.copy()
    for f in range(FOLDS):
        context = rng.permutation(np.flatnonzero(fold != f))[:CONTEXT]
        seen, labels, query = ready.encoded[context], targets[context], match.encoded[asked == f]
        try:
            scores = floor_scores(seen, labels, query, rng)
        except np.linalg.LinAlgError:
            continue  # a floor that can't be solved without this fold: nothing to correct it by
        kept = _most_relevant(ready.encoder, relevance(seen, labels))
        table = cells(ready.encoder, np.concatenate([seen, query]), named)[:, kept]
        corrected[:, asked == f] += corrector.corrections(table, labels, scores, rng)
    return replace(match, scores=corrected)


def _most_relevant(encoder: Encoder, weight: Floats) -> NDArray[np.intp]:
    """Places of the raw columns that the corrector reads, in their order, by the relevance (D,) of encoded ones."""
    owners = np.array(encoder.owners())
    worth = [weight[owners == name].max() for name in (*encoder.numbers, *encoder.words)]
    return np.sort(np.argsort(-np.array(worth), kind="stable")[:COLUMNS])
