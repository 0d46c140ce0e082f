"""The Parameter Generator's one entry: a typed table in, a child, its evidence and its honest score out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from modelgpt_edge.architecture.architecture import Architecture
from modelgpt_edge.child import Child, Floats, softmax
from modelgpt_edge.data.table import Rows, Table
from modelgpt_edge.parameters.blend import Blend
from modelgpt_edge.parameters.evidence import Evidence, Verdict, emit_all, gather, judge, split_folds
from modelgpt_edge.parameters.floor import fuse
from modelgpt_edge.parameters.prepare import Standard, classification_targets, encode
from modelgpt_edge.parameters.score import Score, classification_score, regression_score
from modelgpt_edge.parameters.stream import emit_streamed
from modelgpt_edge.parameters.units import Widths
from modelgpt_edge.schema import Schema

Progress = Callable[[str, float], None]
UNFUSED_ROWS = 256


@dataclass(frozen=True)
class Generated:
    """A child and what is known about it.

    Attributes:
        child: the model.
        generator: ``floor`` or ``linear``, the guard's winner.
        blend: how heads and linear model were weighed.
        score, linear, baseline: held-out scores of the child, the plain linear model, and the majority class or mean.
        unfused: outputs (M, K) on the first M rows of the sample before the draws were merged, for the numeric gate.
        held_out, truth: the held-out scores (N, K) behind `score`, and class positions or values (N,), for plots.
        seconds: time of generation, evidence included.
    """

    child: Child
    generator: str
    blend: Blend
    score: Score
    linear: Score
    baseline: Score
    unfused: Floats
    held_out: Floats
    truth: np.ndarray
    seconds: float


def generate(
    table: Table,
    architecture: Architecture,
    seed: int,
    progress: Progress = lambda stage, share: None,
    generator: str | None = None,
    workers: int | None = None,
) -> Generated:
    """Emit a child for a table.

    Small tables are cross-validated and the child is emitted from all rows. A table larger than its sample is emitted
    from all rows but the held ones, and scored on those. One BLAS thread a solve: small solves spin on more.

    Args:
        progress: called with a stage's name and the share of it that is done.
        generator: ``floor`` or ``linear`` to overrule the guard.
        workers: threads; one for each core where not given. The result doesn't depend on it.
    """
    start = time.perf_counter()
    workers = workers or os.cpu_count() or 1
    schema = table.schema
    standard = Standard.of(np.asarray(table.sample.labels, np.float64)) if schema.kind == "regression" else Standard(0.0, 1.0)
    widths = Widths().scaled(architecture.units) if architecture.units else Widths(0, 0, 0, 0)
    draws = max(1, architecture.draws)

    def targets_of(rows: Rows) -> Floats:
        if schema.kind == "regression":
            return standard.targets(np.asarray(rows.labels, np.float64))
        return classification_targets(np.asarray(rows.labels, np.int32), len(schema.classes))

    with threadpool_limits(1, "blas"):
        if table.held is None:
            rows, targets = table.sample, targets_of(table.sample)
            evidence = gather(rows, targets, schema, widths, seed, workers, lambda share: progress("cross-validating", share))
            emissions = emit_all(rows, targets, schema, widths, draws, np.random.default_rng(seed), workers)
            method = (
                f"{evidence.repeats} x {int(evidence.folds.max()) + 1}-fold cross-validation, everything redrawn in every fold"
            )
        else:
            rng = np.random.default_rng(seed)
            emissions = emit_streamed(
                table, targets_of, widths, draws, rng, workers, lambda share: progress("summing rows", share)
            )
            rows, targets = table.held, targets_of(table.held)
            encoded = encode(emissions["linear"].encoder, rows)
            scores = {name: emission.scores(encoded) for name, emission in emissions.items()}
            evidence = Evidence(scores, split_folds(targets, np.random.default_rng(seed)), 1)
            method = f"{len(rows):,} held-out rows that no fit has seen"
        verdict = judge(evidence, targets, generator)
        child = fuse(emissions, verdict.blend.weights(len(evidence.scores["floor"])), standard, schema.classes)
    first = encode(child.encoder, table.sample.take(slice(UNFUSED_ROWS)))
    unfused = verdict.blend.apply({name: emission.scores(first) for name, emission in emissions.items()})
    unfused = softmax(unfused) if child.classes else unfused * np.float32(standard.deviation) + np.float32(standard.mean)
    truth = np.asarray(rows.labels)
    score, linear, baseline, held_out = _scores(verdict, evidence, targets, truth, standard, schema, method)
    return Generated(
        child=child,
        generator=verdict.blend.winner,
        blend=verdict.blend,
        score=score,
        linear=linear,
        baseline=baseline,
        unfused=unfused,
        held_out=held_out,
        truth=truth,
        seconds=time.perf_counter() - start,
    )


def _scores(
    verdict: Verdict,
    evidence: Evidence,
    targets: Floats,
    truth: np.ndarray,
    standard: Standard,
    schema: Schema,
    method: str,
) -> tuple[Score, Score, Score, Floats]:
    """Scores of the child, the linear model and the baseline, and the child's held-out scores in the label's units."""
    # The baseline knows the shares of the other folds alone, as the models do.
    baseline = np.zeros_like(targets)
    for fold in range(int(evidence.folds.max()) + 1):
        held = evidence.folds == fold
        mean = targets[~held].mean(0)
        baseline[held] = mean if schema.kind == "regression" else np.log(np.maximum(mean, 1e-6))
    if schema.kind == "classification":
        classes = truth.astype(np.int32)
        scored = [classification_score(s, classes, method) for s in (verdict.honest, verdict.linear, baseline)]
        return scored[0], scored[1], scored[2], verdict.honest
    values = truth.astype(np.float64)
    in_units = [s[:, 0] * standard.deviation + standard.mean for s in (verdict.honest, verdict.linear, baseline)]
    scored = [regression_score(p.astype(np.float64), values, method) for p in in_units]
    return scored[0], scored[1], scored[2], in_units[0][:, None].astype(np.float32)


def score_rows(child: Child, rows: Rows, method: str) -> Score:
    """Score of a child on labelled rows that it has not seen."""
    outputs = child.scores(encode(child.encoder, rows))
    if child.classes:
        return classification_score(outputs, np.asarray(rows.labels, np.int32), method)
    return regression_score(outputs[:, 0].astype(np.float64), np.asarray(rows.labels, np.float64), method)
