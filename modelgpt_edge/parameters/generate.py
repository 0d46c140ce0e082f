"""The Parameter Generator's one entry: a typed table in, a child, its evidence and its honest score out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from modelgpt_edge.child import Child, Encoder, Floats, softmax
from modelgpt_edge.data.table import Labels, Rows, Table
from modelgpt_edge.parameters.blend import Blend, choose_blend
from modelgpt_edge.parameters.corrector import Corrector
from modelgpt_edge.parameters.emissions import distil_all, emit_all, paired, read_corrector
from modelgpt_edge.parameters.evidence import Evidence, gather, judge, split_folds
from modelgpt_edge.parameters.finetune import Finetuned
from modelgpt_edge.parameters.finetune_table import finetune_table, trained_scores
from modelgpt_edge.parameters.floor import Emission, fuse
from modelgpt_edge.parameters.prepare import Standard, encode, targets_of
from modelgpt_edge.parameters.score import Score, score_outputs
from modelgpt_edge.parameters.stream import emit_streamed

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
        generator: ``floor``, ``linear`` or ``trained``: the guard's winner, or what was asked for.
        losses: of every generator on held-out rows: log loss, or squared error of standardised values.
        blend: how heads and linear model were weighed.
        divergence: how far the child is from the wide model that it was distilled from: nats a row, or a share of the values'
            variance.
        scores: on held-out rows; of the child before any fine-tuning.
        unfused: outputs (M, K) on the first M rows of the sample before the draws were merged, for the numeric gate; of a child
            that fine-tuning changed, what the gradient's forward pass computes.
        held_out, truth: the child's held-out scores (N, K), and class positions or values (N,), for plots.
        seconds: time of generation, evidence included and fine-tuning not.
        finetuned: what fine-tuning did, its child the same as `child`; None where it wasn't asked for.
    """

    child: Child
    linear: Child
    prior: Floats
    generator: str
    losses: dict[str, float]
    blend: Blend
    divergence: float
    scores: Scores
    unfused: Floats
    held_out: Floats
    truth: Labels
    seconds: float
    finetuned: Finetuned | None = None


def generate(
    table: Table,
    units: Sequence[int],
    draws: int,
    seed: int,
    progress: Progress = lambda stage, share: None,
    generator: str | None = None,
    workers: int | None = None,
    encoder: Encoder | None = None,
    finetune: float = 0.0,
) -> Generated:
    """Emit a child for a table.

    Small tables are cross-validated and the child is emitted from all rows. A table larger than its sample is emitted
    from all rows but the held ones, and scored on those. One BLAS thread a solve: small solves spin on more.

    Args:
        units: hidden units that the child may have, in the order to try: the first from which a faithful child can be
            distilled is taken, or else the last. 0 alone is the plain linear model.
        draws: of hidden units, 640 each, that the child is distilled from.
        progress: called with a stage's name and the share of it that is done.
        generator: ``floor``, ``linear`` or ``trained`` to overrule the guard, which chooses between the first two.
        encoder: one that is fitted already and is kept, as a refit does.
        workers: threads; one for each core where not given. The result doesn't depend on it.
        finetune: seconds to fine-tune the child for, on one thread; the result then depends on the clock. The better of before
            and after is the child; its scores stay those of before.
    """
    start = time.perf_counter()
    classes = table.schema.classes
    generator = generator if any(units) else "linear"
    corrector = read_corrector(classes) if generator == "trained" else None
    standard = Standard(0.0, 1.0) if classes else Standard.of(np.asarray(table.sample.labels, np.float64))
    with threadpool_limits(1, "blas"):
        emitted = _emit(table, units, draws, seed, standard, progress, workers or os.cpu_count() or 1, encoder, corrector)
        evidence, rows = emitted.evidence, emitted.rows
        targets = targets_of(rows.labels, standard, classes)
        verdict = judge(evidence, targets, generator)
        emissions = paired(emitted.emissions, verdict.generator)
        line = choose_blend(evidence.scores, targets, "linear")
        heads = len(evidence.scores["linear"])
        child = fuse(emissions, verdict.blend.weights(heads), standard, classes)
        linear = fuse(emissions, line.weights(heads), standard, classes)
        first = encode(child.encoder, table.sample.take(slice(UNFUSED_ROWS)))
        unfused = standard.undo(verdict.blend.apply({name: emission.scores(first) for name, emission in emissions.items()}))
        seconds, finetuned, method = time.perf_counter() - start, None, emitted.method
        if finetune:
            progress("fine-tuning", 0)
            tell = partial(progress, "fine-tuning")
            finetuned = finetune_table(child, verdict.blend, table, standard, finetune, seed, tell, corrector)
            if not finetuned.kept:
                child, unfused = finetuned.child, trained_scores(finetuned.child, first)
                method += ", before fine-tuning"
    held_out = standard.undo(verdict.honest)
    baseline = _baseline(targets, evidence.folds, bool(classes))
    return Generated(
        child=child,
        linear=linear,
        prior=_prior(targets, bool(classes)) if classes else standard.undo(targets.mean(0)),
        generator=verdict.generator,
        losses=verdict.losses,
        blend=verdict.blend,
        divergence=emitted.divergence,
        scores=Scores(
            *(score_outputs(standard.undo(s), rows.labels, method) for s in (verdict.honest, verdict.linear, baseline))
        ),
        unfused=softmax(unfused) if classes else unfused,
        held_out=held_out,
        truth=rows.labels,
        seconds=seconds,
        finetuned=finetuned,
    )


@dataclass(frozen=True)
class _Emitted:
    """What every generator emitted, distilled; the evidence, the rows it stands on and how it was gathered."""

    emissions: dict[str, Emission]
    divergence: float
    evidence: Evidence
    rows: Rows
    method: str


def _emit(
    table: Table,
    units: Sequence[int],
    draws: int,
    seed: int,
    standard: Standard,
    progress: Progress,
    workers: int,
    encoder: Encoder | None,
    corrector: Corrector | None,
) -> _Emitted:
    schema, rng = table.schema, np.random.default_rng(seed)
    draws = draws if any(units) else 0
    if table.held is None:
        rows, targets = table.sample, targets_of(table.sample.labels, standard, schema.classes)
        progress("generating", 0)
        ready, emissions = emit_all(rows, targets, schema, draws, rng, workers, encoder)
        emissions, divergence = distil_all(emissions, ready, targets, schema.named, units, draws, rng, corrector)
        evidence = gather(
            rows,
            targets,
            schema,
            emissions["floor"].units.count,
            draws,
            seed,
            workers,
            lambda share: progress("cross-validating", share),
            encoder,
            corrector,
        )
        fold_count = int(evidence.folds.max()) + 1
        redrawn = "everything" if encoder is None else "units and heads"
        times = f"{evidence.repeats} x " if evidence.repeats > 1 else ""
        method = f"{times}{fold_count}-fold cross-validation that redraws {redrawn} in every fold"
        return _Emitted(emissions, divergence, evidence, rows, method)
    targets = targets_of(table.sample.labels, standard, schema.classes)
    ready, emissions = emit_streamed(
        table,
        lambda rows: targets_of(rows.labels, standard, schema.classes),
        draws,
        rng,
        workers,
        lambda share: progress("summing rows", share),
        encoder,
    )
    emissions, divergence = distil_all(emissions, ready, targets, schema.named, units, draws, rng, corrector)
    encoded = encode(ready.encoder, table.held)
    scores = {name: emission.scores(encoded) for name, emission in emissions.items()}
    folds = split_folds(targets_of(table.held.labels, standard, schema.classes), np.random.default_rng(seed))
    method = f"{len(table.held):,} held-out rows that no fit has seen"
    return _Emitted(emissions, divergence, Evidence(scores, folds, 1), table.held, method)


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
