"""Correct what a wide emission says before it is distilled: the trained generator's way into a child.

Corrections are out-of-fold: no row's label is shown to the corrector that corrects it, for scores that have seen the label
make small children worse. numpy alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Encoder, Floats
from modelgpt_edge.errors import InputError
from modelgpt_edge.parameters.cells import cells
from modelgpt_edge.parameters.corrector import CLASSES, SHIPPED, Corrector
from modelgpt_edge.parameters.distil import Match
from modelgpt_edge.parameters.floor import Emission
from modelgpt_edge.parameters.left_out import floor_scores
from modelgpt_edge.parameters.prepare import Prepared
from modelgpt_edge.parameters.units import DRAW
from modelgpt_edge.schema import Schema

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


def distil_all(
    emissions: Mapping[str, Emission],
    ready: Prepared,
    targets: Floats,
    schema: Schema,
    units: Sequence[int],
    draws: int,
    rng: np.random.Generator,
    corrector: Corrector | None,
) -> tuple[dict[str, Emission], float]:
    """Distil what was emitted: the floor, and with a corrector what it makes of the floor, under ``trained``.

    Args:
        units: in the order to try: the first from which a child that is faithful to the floor can be distilled is taken.

    Returns:
        The emissions, and the divergence: of the trained emission where there is one.
    """
    most = DRAW.total * draws
    if units[0] >= most and corrector is None:
        return dict(emissions), 0.0
    match = Match.of(emissions["floor"], ready, rng)
    floor = match.smallest(units, most)
    distilled = {**emissions, "floor": floor.emission}
    if corrector is None:
        return distilled, floor.divergence
    trained = correct(match, corrector, ready, targets, schema.named, rng).distil(floor.emission.units.count)
    return {**distilled, "trained": trained.emission}, trained.divergence


def read_corrector(classes: Sequence[str]) -> Corrector:
    """The shipped corrector.

    Raises:
        InputError: it doesn't know tables of so many classes.
    """
    if not 2 <= len(classes) <= CLASSES:
        seen = f"{len(classes)} classes" if classes else "a label of amounts"
        cure = "Leave the choice to the guard, which takes the better of floor and linear."
        raise InputError("the trained generator knows tables of 2 to 10 classes", where="--generator", seen=seen, cure=cure)
    return Corrector.read(SHIPPED)
