"""Correct what a wide emission says before it is distilled: the trained generator's way into a child.

Corrections are out-of-fold: no row's label is shown to the corrector that corrects it, for scores that have seen the label
make small children worse. numpy alone.
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

FOLDS = 4
# The most rows and raw columns that the corrector reads: about as many as it was trained on.
CONTEXT, COLUMNS = 500, 40


def correct(
    match: Match, corrector: Corrector, ready: Prepared, targets: Floats, named: Collection[str], rng: np.random.Generator
) -> Match:
    """The match with corrected scores.

    Args:
        ready: the training rows that the match was made of, all of them.
        targets: one-hot classes (N, K) of those rows.
        named: columns that the requirement names.
    """
    real = len(match.places)
    fold = rng.permutation(len(ready.encoded)) % FOLDS
    asked = np.concatenate([fold[match.places], np.arange(len(match.encoded) - real) % FOLDS])
    kept = _most_relevant(ready.encoder, ready.relevance)
    corrected = match.scores.copy()
    for f in range(FOLDS):
        context = rng.permutation(np.flatnonzero(fold != f))[:CONTEXT]
        seen, labels, query = ready.encoded[context], targets[context], match.encoded[asked == f]
        scores = floor_scores(seen, labels, query, rng)
        table = cells(ready.encoder, np.concatenate([seen, query]), named)[:, kept]
        corrected[:, asked == f] += corrector.corrections(table, labels, scores, rng)
    return replace(match, scores=corrected)


def _most_relevant(encoder: Encoder, relevance: Floats) -> NDArray[np.intp]:
    """Places of the raw columns that the corrector reads, in their order."""
    owners = np.array(encoder.owners())
    worth = [relevance[owners == name].max() for name in (*encoder.numbers, *encoder.words)]
    return np.sort(np.argsort(-np.array(worth), kind="stable")[:COLUMNS])
