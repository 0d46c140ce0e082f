"""Fine-tune what a build generated: steps on the table's sample, judged by rows that the child they start from hasn't seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Child, Floats
from modelgpt_edge.data.table import Rows, Table
from modelgpt_edge.parameters.blend import Blend
from modelgpt_edge.parameters.corrector import Corrector
from modelgpt_edge.parameters.emissions import distil_all, emit_all, paired
from modelgpt_edge.parameters.finetune import Finetuned, Remake, finetune
from modelgpt_edge.parameters.floor import fuse
from modelgpt_edge.parameters.gradient import Structure
from modelgpt_edge.parameters.prepare import Standard, classification_targets, encode, targets_of
from modelgpt_edge.parameters.units import DRAW


def finetune_table(
    child: Child,
    blend: Blend,
    table: Table,
    standard: Standard,
    seconds: float,
    seed: int,
    progress: Callable[[float], None] = lambda share: None,
    corrector: Corrector | None = None,
) -> Finetuned:
    """Fine-tune a table's generated child for so many seconds.

    Of a table larger than its sample the held rows judge the steps: the child has not seen them, and a child of the sample
    alone is no stand-in for one of all rows. Steps are taken on the sample.

    Args:
        blend: how the child's heads and linear model were weighed; the second child's are weighed alike.
        standard: of the table's values; (0, 1) for classes.
        seconds: wall clock for all of this, the second child included, whose generation doesn't look at the clock.
        corrector: of the trained generator, where that one made the child.
    """
    unseen = None if table.held is None else (encode(child.encoder, table.held), _targets(table.held, child.classes))
    remake = regenerator(child, blend, table, standard, seed, corrector) if unseen is None else None
    encoded, targets = encode(child.encoder, table.sample), _targets(table.sample, child.classes)
    return finetune(child, encoded, targets, seconds, seed, remake=remake, unseen=unseen, progress=progress)


def regenerator(
    child: Child, blend: Blend, table: Table, standard: Standard, seed: int, corrector: Corrector | None = None
) -> Remake:
    """Generates a child of some of the sample's rows alone: of the whole child's size, encoder and blend, other draws.

    It has as few draws as hold its units.
    """
    classes, count = child.classes, child.units.count
    draws = -(-count // DRAW.total)
    targets = targets_of(table.sample.labels, standard, classes)

    def remake(rows: NDArray[np.intp]) -> Child:
        rng = np.random.default_rng([seed, 2])
        sample = table.sample.take(rows)
        ready, emissions = emit_all(sample, targets[rows], table.schema, draws, rng, 1, child.encoder)
        distilled, _ = distil_all(emissions, ready, targets[rows], table.schema.named, (count,), draws, rng, corrector)
        pair = paired(distilled, "trained" if corrector else "floor")
        return fuse(pair, blend.weights(len(emissions["linear"].heads[0].bias)), standard, classes)

    return remake


def trained_scores(child: Child, encoded: Floats) -> Floats:
    """Scores (N, K) of encoded rows (N, D) as the gradient's own forward pass computes them, to hold the child against."""
    structure = Structure.of(child)
    return structure.scores(structure.pack(), encoded)


def _targets(rows: Rows, classes: tuple[str, ...]) -> Floats:
    """One-hot classes (N, K), or values (N, 1) in their own unit."""
    if classes:
        return classification_targets(np.asarray(rows.labels, np.int32), len(classes))
    return np.asarray(rows.labels, np.float32)[:, None]
