"""Weights without evidence: what to emit where nobody asked how good they are.

Nothing is cross-validated, so which heads count how much is not chosen but given: the even mean, which the blend's priors
favour, or the blend of a package that is refitted. Given a build's own blend, the child is that build's, to the bit.
Whoever calls has pinned BLAS to one thread: small solves spin on more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelgpt_edge.child import Child, Encoder, Floats
from modelgpt_edge.data.table import Table
from modelgpt_edge.errors import InputError
from modelgpt_edge.parameters.blend import Blend
from modelgpt_edge.parameters.distil import Match
from modelgpt_edge.parameters.emissions import distil_all, emit_all, paired, read_corrector
from modelgpt_edge.parameters.floor import Emission, emit_floor, emit_linear, fuse
from modelgpt_edge.parameters.prepare import MOST_COLUMNS, Prepared, Standard, targets_of
from modelgpt_edge.parameters.relevance import relevance
from modelgpt_edge.parameters.units import DRAW

EVEN = Blend(share=0.5, linear=0.0, temperature=1.0, loss=0.0)
# As many as a table has in memory, and as a build takes.
MOST_ROWS, MOST_OUTPUTS = 25_000, 200


def emit_child(
    table: Table,
    units: Sequence[int],
    draws: int,
    seed: int,
    generator: str = "floor",
    blend: Blend = EVEN,
    encoder: Encoder | None = None,
) -> Child:
    """Emit a child from a table's sample, which of a small table is all of it; on one thread.

    Args:
        units: hidden units to try, as for `generate`; 0 alone is the plain linear model.
        generator: ``floor``, ``linear`` or ``trained``.
        encoder: one that is fitted already and is kept.
    """
    rows, schema = table.sample, table.schema
    corrector = read_corrector(schema.classes) if generator == "trained" else None
    standard = Standard(0.0, 1.0) if schema.classes else Standard.of(np.asarray(rows.labels, np.float64))
    targets, rng = targets_of(rows.labels, standard, schema.classes), np.random.default_rng(seed)
    draws = draws if any(units) else 0
    ready, emissions = emit_all(rows, targets, schema, draws, rng, 1, encoder)
    emissions, _ = distil_all(emissions, ready, targets, schema, units, draws, rng, corrector)
    return _fused(paired(emissions, generator), blend, standard, schema.classes)


def emit_encoded(encoded: Floats, targets: Floats, owners: Sequence[int], units: Sequence[int], draws: int, seed: int) -> Child:
    """Emit a child from columns that were encoded elsewhere; its encoder passes them through.

    Args:
        encoded: (N, D), about standardised, as an encoder gives them.
        targets: one-hot classes (N, K), or standardised values (N, 1).
        owners: (D,) number of the raw column behind each: columns of one word column move together.

    Raises:
        InputError: the arrays don't fit together, are too large, or hold what is no number.
    """
    _check("encoded", encoded, encoded.shape[:1], MOST_COLUMNS)
    _check("targets", targets, encoded.shape[:1], MOST_OUTPUTS)
    if len(owners) != encoded.shape[1]:
        cure = f"Give {encoded.shape[1]} numbers, one for each encoded column, or leave them out."
        raise InputError("the owners don't fit the encoded columns", where="owners", seen=len(owners), cure=cure)
    if targets.shape[1] > 1 and not (((targets == 0) | (targets == 1)).all() and (targets.sum(1) == 1).all()):
        cure = "Give each row a 1 in the column of its class and 0 elsewhere, or one column of standardised values."
        raise InputError("the targets are not one-hot", where="targets", cure=cure)
    rng, draws = np.random.default_rng(seed), draws if any(units) else 0
    ready = Prepared(_through(tuple(f"c{owner}" for owner in owners)), encoded, relevance(encoded, targets))
    floor = linear = emit_linear(ready, targets)
    if draws:
        floor, most = emit_floor(ready, targets, DRAW, draws, rng), DRAW.total * draws
        floor = floor if units[0] >= most else Match.of(floor, ready, rng).smallest(units, most).emission
    classes = tuple(map(str, range(targets.shape[1]))) if targets.shape[1] > 1 else ()
    return _fused({"linear": linear, "floor": floor}, EVEN, Standard(0.0, 1.0), classes)


def _fused(emissions: dict[str, Emission], blend: Blend, standard: Standard, classes: tuple[str, ...]) -> Child:
    return fuse(emissions, blend.weights(len(emissions["linear"].heads[0].bias)), standard, classes)


def _check(name: str, array: Floats, rows: tuple[int, ...], most: int) -> None:
    if array.dtype != np.float32 or array.ndim != 2 or array.shape[:1] != rows:
        seen, cure = f"{array.dtype} {array.shape}", "Give `encoded` (N, D) and `targets` (N, K), both float32."
        raise InputError("a profile's arrays don't fit together", where=name, seen=seen, cure=cure)
    if not 2 <= len(array) <= MOST_ROWS or not 1 <= array.shape[1] <= most:
        cure = f"Give 2 to {MOST_ROWS:,} rows of 1 to {most:,} columns."
        raise InputError("this is too few or too many", where=name, seen=array.shape, cure=cure)
    if not np.isfinite(array).all():
        raise InputError("a value is no finite number", where=name, cure="Fill gaps before you encode, and clip infinities.")


def _through(names: tuple[str, ...]) -> Encoder:
    """An encoder whose columns are encoded already."""
    width, none, empty = len(names), np.zeros(0, np.int32), np.zeros(0, np.float32)
    zeros, table = np.zeros(width, np.float32), np.zeros((0, 0), np.float32)
    scale = np.ones(width, np.float32)
    return Encoder(names, (), (), none, empty, empty, zeros, zeros, scale, none, table, table, none)
