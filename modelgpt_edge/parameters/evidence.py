"""Held-out evidence: cross-validation that draws everything anew in every fold, and what the guard decides from it.

Whatever has seen a row's label is fitted without that row: medians, vocabularies, relevance, units, heads. What is
chosen from held-out scores (shares, temperature) is chosen without the fold that it is scored on. Only which generator wins
is chosen on the scores that are reported, so that what ships is never reported to lose to another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Encoder, Floats
from modelgpt_edge.data.table import Rows
from modelgpt_edge.parameters.blend import Blend, choose_blend
from modelgpt_edge.parameters.corrector import Corrector
from modelgpt_edge.parameters.emissions import GENERATORS, distil_all, emit_all, paired
from modelgpt_edge.parameters.likelihood import smoothed_loss
from modelgpt_edge.parameters.prepare import encode
from modelgpt_edge.parameters.spread import spread
from modelgpt_edge.parameters.units import DRAW
from modelgpt_edge.schema import Schema

FOLDS = 5
Progress = Callable[[float], None]
T = TypeVar("T")


@dataclass(frozen=True)
class Evidence:
    """Held-out scores of every generator.

    Attributes:
        scores: by generator, (H, N, K), from models that never saw the row.
        folds: (N,) the fold each row was held out in.
        repeats: how often the cross-validation was repeated; the scores are means over repeats.
    """

    scores: dict[str, Floats]
    folds: NDArray[np.int32]
    repeats: int


def repeats_for(rows: int, columns: int, outputs: int) -> int:
    """Repetitions of the cross-validation that take about a second."""
    cells = rows * (columns + 5 * outputs)
    return 4 if rows <= 500 and cells <= 50_000 else 2 if cells <= 30_000 else 1


def gather(
    rows: Rows,
    targets: Floats,
    schema: Schema,
    units: int,
    draws: int,
    seed: int,
    workers: int,
    progress: Progress,
    encoder: Encoder | None = None,
    corrector: Corrector | None = None,
) -> Evidence:
    """Cross-validate every generator on rows with targets (N, K), one draw a repetition.

    A row's scores are means over the repetitions, as the child's are over its draws: so there are never more repetitions
    than draws. The first repetition's folds are the folds of the evidence; every repetition splits anew.

    Args:
        units: of the child; fewer than a draw's are distilled in every fold.
        encoder: one that was fitted on other rows; fitted anew in every fold where not given.
        corrector: of the trained generator, which competes where it is given; it is slow, so nothing is repeated.
    """
    repeats = 1 if corrector else min(max(1, draws), repeats_for(len(rows), len(schema.columns), targets.shape[1]))
    splits = [split_folds(targets, np.random.default_rng([seed, r])) for r in range(repeats)]
    jobs = [(r, k) for r in range(repeats) for k in range(int(splits[r].max()) + 1)]
    heads = 2 if schema.kind == "classification" else 1
    totals = {name: np.zeros((heads, *targets.shape), np.float32) for name in GENERATORS if corrector or name != "trained"}

    def run(job: tuple[int, int]) -> tuple[NDArray[np.intp], dict[str, Floats]]:
        r, k = job
        out, held = np.flatnonzero(splits[r] != k), np.flatnonzero(splits[r] == k)
        rng = np.random.default_rng([seed, r, k])
        ready, emissions = emit_all(rows.take(out), targets[out], schema, min(draws, 1), rng, 1, encoder)
        width = (min(units, DRAW.total),)
        emissions, _ = distil_all(emissions, ready, targets[out], schema.named, width, min(draws, 1), rng, corrector)
        encoded = encode(emissions["floor"].encoder, rows.take(held))
        return held, {name: emission.scores(encoded) for name, emission in emissions.items()}

    for done, (held, scores) in enumerate(spread(run, jobs, workers), start=1):
        for name, total in totals.items():
            total[:, held] += scores[name] / repeats
        progress(done / len(jobs))
    return Evidence(totals, splits[0], repeats)


def split_folds(targets: Floats, rng: np.random.Generator) -> NDArray[np.int32]:
    """Folds (N,) of equal size, every class (or stretch of values) spread evenly over them."""
    rows = len(targets)
    count = min(FOLDS, rows)
    order = rng.permutation(rows)
    key = targets[order, 0] if targets.shape[1] == 1 else targets[order].argmax(1)
    if targets.shape[1] == 1:
        # Neighbours in value form strata of one row a fold, shuffled inside.
        key = np.argsort(np.argsort(key, kind="stable"), kind="stable") // count
    order = order[np.argsort(key, kind="stable")]
    folds = np.empty(rows, np.int32)
    folds[order] = np.arange(rows) % count
    return folds


@dataclass(frozen=True)
class Verdict:
    """What the guard chose, and held-out scores that no choice of a blend has seen.

    Attributes:
        blend: chosen on all held-out rows; what ships.
        honest: (N, K) scores of the generator that ships, each row's blend chosen without its fold.
        linear: (N, K) scores of the plain linear model, likewise.
        generator: the winner's name.
        losses: of every generator on the held-out rows: smoothed log loss, or squared error of standardised values.
    """

    blend: Blend
    honest: Floats
    linear: Floats
    generator: str
    losses: dict[str, float]


def judge(evidence: Evidence, targets: Floats, generator: str | None = None) -> Verdict:
    """The guard: the generator that is likeliest on held-out rows (of least squared error for values).

    Args:
        targets: one-hot classes (N, K), or standardised values (N, 1).
        generator: name of one that overrules it.
    """
    scores = {name: _cross_fitted(evidence, targets, name) for name in evidence.scores}
    losses = {name: _loss(found, targets) for name, found in scores.items()}
    winner = generator or min(losses, key=lambda name: losses[name])
    blend = choose_blend(paired(evidence.scores, winner), targets, winner)
    return Verdict(blend, scores[winner], scores["linear"], winner, losses)


def _cross_fitted(evidence: Evidence, targets: Floats, generator: str) -> Floats:
    """Held-out scores (N, K) of a generator, each fold's blend chosen on the other folds."""
    pair = paired(evidence.scores, generator)
    scores = np.zeros(targets.shape, np.float32)
    for fold in range(int(evidence.folds.max()) + 1):
        held = evidence.folds == fold
        blend = choose_blend({g: s[:, ~held] for g, s in pair.items()}, targets[~held], generator)
        scores[held] = blend.apply({g: s[:, held] for g, s in pair.items()})
    return scores


def _loss(scores: Floats, targets: Floats) -> float:
    if targets.shape[1] == 1:
        return float(((scores - targets) ** 2).mean(dtype=np.float64))
    return smoothed_loss(scores, targets.argmax(1).astype(np.int32))
