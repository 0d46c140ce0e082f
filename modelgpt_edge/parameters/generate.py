"""The Parameter Generator's one entry: a typed table in, a child, its evidence and its honest score out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from modelgpt_edge.architecture.architecture import Architecture
from modelgpt_edge.child import Child, Encoder, Floats, softmax
from modelgpt_edge.data.table import Labels, Rows, Table
from modelgpt_edge.parameters.blend import Blend, choose_blend
from modelgpt_edge.parameters.evidence import Evidence, emit_all, gather, judge, split_folds
from modelgpt_edge.parameters.floor import Emission, fuse
from modelgpt_edge.parameters.prepare import Standard, encode, targets_of
from modelgpt_edge.parameters.score import Score, score_outputs
from modelgpt_edge.parameters.stream import emit_streamed
from modelgpt_edge.parameters.units import Widths

Progress = Callable[[str, float], None]
UNFUSED_ROWS = 256


@dataclass(frozen=True)
class Scores:
    """Scores on the same rows: of the child, the plain linear model, and the baseline that knows the labels alone."""

    child: Score
    linear: Score
    baseline: Score


@dataclass(frozen=True)
class Generated:
    """A child and what is known about it.

    Attributes:
        child: the model.
        linear: the plain linear model beside it.
        prior: (K,) what the baseline always says: log shares of the classes, or the mean value.
        generator: ``floor`` or ``linear``, the guard's winner.
        blend: how heads and linear model were weighed.
        scores: on held-out rows.
        unfused: outputs (M, K) on the first M rows of the sample before the draws were merged, for the numeric gate.
        held_out, truth: the child's held-out scores (N, K), and class positions or values (N,), for plots.
        seconds: time of generation, evidence included.
    """

    child: Child
    linear: Child
    prior: Floats
    generator: str
    blend: Blend
    scores: Scores
    unfused: Floats
    held_out: Floats
    truth: Labels
    seconds: float


def generate(
    table: Table,
    architecture: Architecture,
    seed: int,
    progress: Progress = lambda stage, share: None,
    generator: str | None = None,
    workers: int | None = None,
    encoder: Encoder | None = None,
) -> Generated:
    """Emit a child for a table.

    Small tables are cross-validated and the child is emitted from all rows. A table larger than its sample is emitted
    from all rows but the held ones, and scored on those. One BLAS thread a solve: small solves spin on more.

    Args:
        progress: called with a stage's name and the share of it that is done.
        generator: ``floor`` or ``linear`` to overrule the guard.
        encoder: one that is fitted already and is kept, as a refit does.
        workers: threads; one for each core where not given. The result doesn't depend on it.
    """
    start = time.perf_counter()
    classes = table.schema.classes
    standard = Standard(0.0, 1.0) if classes else Standard.of(np.asarray(table.sample.labels, np.float64))
    with threadpool_limits(1, "blas"):
        emissions, evidence, rows, method = _emit(
            table, architecture, seed, standard, progress, workers or os.cpu_count() or 1, encoder
        )
        targets = targets_of(rows.labels, standard, classes)
        verdict = judge(evidence, targets, generator)
        line = choose_blend(evidence.scores, targets, "linear")
        heads = len(evidence.scores["linear"])
        child = fuse(emissions, verdict.blend.weights(heads), standard, classes)
        linear = fuse(emissions, line.weights(heads), standard, classes)
        first = encode(child.encoder, table.sample.take(slice(UNFUSED_ROWS)))
        unfused = verdict.blend.apply({name: emission.scores(first) for name, emission in emissions.items()})
    held_out = standard.undo(verdict.honest)
    baseline = _baseline(targets, evidence.folds, bool(classes))
    return Generated(
        child=child,
        linear=linear,
        prior=_prior(targets, bool(classes)) if classes else standard.undo(targets.mean(0)),
        generator=verdict.blend.winner,
        blend=verdict.blend,
        scores=Scores(
            *(score_outputs(standard.undo(s), rows.labels, method) for s in (verdict.honest, verdict.linear, baseline))
        ),
        unfused=softmax(unfused) if classes else standard.undo(unfused),
        held_out=held_out,
        truth=rows.labels,
        seconds=time.perf_counter() - start,
    )


def _emit(
    table: Table,
    architecture: Architecture,
    seed: int,
    standard: Standard,
    progress: Progress,
    workers: int,
    encoder: Encoder | None,
) -> tuple[dict[str, Emission], Evidence, Rows, str]:
    """Emissions of every generator, the held-out evidence, the rows it stands on, and how it was gathered, in words."""
    schema, draws = table.schema, max(1, architecture.draws)
    widths = Widths().scaled(architecture.units)
    if table.held is None:
        rows, targets = table.sample, targets_of(table.sample.labels, standard, schema.classes)
        evidence = gather(
            rows, targets, schema, widths, draws, seed, workers, lambda share: progress("cross-validating", share), encoder
        )
        progress("generating", 0)
        emissions = emit_all(rows, targets, schema, widths, draws, np.random.default_rng(seed), workers, encoder)
        count = int(evidence.folds.max()) + 1
        redrawn = "everything" if encoder is None else "units and heads"
        times = f"{evidence.repeats} x " if evidence.repeats > 1 else ""
        return emissions, evidence, rows, f"{times}{count}-fold cross-validation that redraws {redrawn} in every fold"
    emissions = emit_streamed(
        table,
        lambda rows: targets_of(rows.labels, standard, schema.classes),
        widths,
        draws,
        np.random.default_rng(seed),
        workers,
        lambda share: progress("summing rows", share),
        encoder,
    )
    encoded = encode(emissions["linear"].encoder, table.held)
    scores = {name: emission.scores(encoded) for name, emission in emissions.items()}
    folds = split_folds(targets_of(table.held.labels, standard, schema.classes), np.random.default_rng(seed))
    return emissions, Evidence(scores, folds, 1), table.held, f"{len(table.held):,} held-out rows that no fit has seen"


def _prior(targets: Floats, classification: bool) -> Floats:
    """What targets (N, K) alone say of any row, (K,): log shares, or the mean."""
    mean = targets.mean(0)
    return np.log(np.maximum(mean, 1e-6)) if classification else mean


def _baseline(targets: Floats, folds: NDArray[np.int32], classification: bool) -> Floats:
    """Held-out scores (N, K) of the prior, which like the models knows the other folds alone."""
    scores = np.zeros_like(targets)
    for fold in range(int(folds.max()) + 1):
        scores[folds == fold] = _prior(targets[folds != fold], classification)
    return scores


def score_rows(generated: Generated, rows: Rows, method: str) -> Scores:
    """Scores on labelled rows that generation has not seen; a label of -1 is a class that the model doesn't know."""
    prior = np.broadcast_to(generated.prior, (len(rows), len(generated.prior)))
    encoded = encode(generated.child.encoder, rows)
    outputs = (generated.child.scores(encoded), generated.linear.scores(encoded), prior)
    return Scores(*(score_outputs(o, rows.labels, method) for o in outputs))
