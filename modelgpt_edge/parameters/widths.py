"""Score sizes of the template on held-out rows: what the Model Generator weighs accuracy against cost by."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from modelgpt_edge.child import Floats
from modelgpt_edge.data.table import Rows, Table
from modelgpt_edge.parameters.distil import Match
from modelgpt_edge.parameters.emissions import emit_all
from modelgpt_edge.parameters.evidence import Evidence, judge, split_folds
from modelgpt_edge.parameters.likelihood import row_losses
from modelgpt_edge.parameters.prepare import Standard, encode, targets_of
from modelgpt_edge.parameters.score import Score, score_outputs
from modelgpt_edge.parameters.spread import spread
from modelgpt_edge.parameters.units import DRAW
from modelgpt_edge.schema import Schema

# Rows that sizes are compared on: enough to tell a tenth of a point, and quick.
MOST_ROWS = 4_000
# Hidden units of the plain linear model.
LINEAR = 0


@dataclass(frozen=True)
class Scored:
    """A size's held-out losses (N,), on rows that are the same for every size, and its score."""

    losses: NDArray[np.float64]
    score: Score


def score_widths(
    table: Table, widths: Sequence[int], seed: int, progress: Callable[[float], None] = lambda share: None
) -> dict[int, Scored]:
    """Cross-validated losses of each size, by hidden units; of a large table, losses on its held-out rows.

    All sizes of a fold are distilled from one draw, so `widths` are at most a draw's. The guard stays out of it: where the
    linear model is likelier every size would be that model, and the frontier flat.
    """
    if not widths:
        return {}
    schema, rows = table.schema, _some(table.sample, seed)
    held = None if table.held is None else _some(table.held, seed)
    judged = rows if held is None else held
    standard = Standard(0.0, 1.0) if schema.classes else Standard.of(np.asarray(rows.labels, np.float64))
    targets = targets_of(judged.labels, standard, schema.classes)
    folds = split_folds(targets, np.random.default_rng(seed))
    with threadpool_limits(1, "blas"):
        if held is None:
            scores = _cross_validate(rows, targets, schema, folds, widths, seed, progress)
        else:
            fitted = targets_of(rows.labels, standard, schema.classes)
            scores = _emit_widths(rows, fitted, schema, held, widths, [seed])
            progress(1)
        scored = {}
        for width in widths:
            evidence = Evidence({"linear": scores[LINEAR], "floor": scores[width]}, folds, 1)
            honest = judge(evidence, targets, "linear" if width == LINEAR else "floor").honest
            score = score_outputs(standard.undo(honest), judged.labels, "held-out rows")
            scored[width] = Scored(row_losses(honest, targets), score)
    return scored


def _some(rows: Rows, seed: int) -> Rows:
    if len(rows) <= MOST_ROWS:
        return rows
    return rows.take(np.sort(np.random.default_rng(seed).permutation(len(rows))[:MOST_ROWS]))


def _cross_validate(
    rows: Rows,
    targets: Floats,
    schema: Schema,
    folds: NDArray[np.int32],
    widths: Sequence[int],
    seed: int,
    progress: Callable[[float], None],
) -> dict[int, Floats]:
    """Held-out scores (H, N, K) by size; every fold is drawn and solved without its rows."""
    count = int(folds.max()) + 1
    scores: dict[int, Floats] = {}

    def run(fold: int) -> dict[int, Floats]:
        out, held = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        return _emit_widths(rows.take(out), targets[out], schema, rows.take(held), widths, [seed, fold])

    for fold, found in enumerate(spread(run, range(count), os.cpu_count() or 1)):
        for width, some in found.items():
            whole = scores.setdefault(width, np.zeros((len(some), *targets.shape), np.float32))
            whole[:, folds == fold] = some
        progress((fold + 1) / count)
    return scores


def _emit_widths(
    rows: Rows, targets: Floats, schema: Schema, held: Rows, widths: Sequence[int], seeds: list[int]
) -> dict[int, Floats]:
    """Scores (H, M, K) of M held rows by size, from models of the other rows; the linear model's among them."""
    rng = np.random.default_rng(seeds)
    ready, emissions = emit_all(rows, targets, schema, 1, rng)
    encoded = encode(ready.encoder, held)
    scores = {LINEAR: emissions["linear"].scores(encoded)}
    match = Match.of(emissions["floor"], ready, rng)
    for units in widths:
        if units:
            emission = emissions["floor"] if units >= DRAW.total else match.distil(units).emission
            scores[units] = emission.scores(encoded)
    return scores
