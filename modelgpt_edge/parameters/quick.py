"""Weights without evidence: what to emit where nobody asked how good they are.

Nothing is cross-validated, so which heads count how much is not chosen but given: the even mean, which the blend's priors
favour, or the blend of a package that is refitted. Given a build's own blend, the child is that build's, to the bit.
Emission is three steps, of which a server may take the middle one, the solve, elsewhere and for many at once.
Whoever calls has pinned BLAS to one thread: small solves spin on more.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from modelgpt_edge.child import Child, Encoder, Floats, Units
from modelgpt_edge.data.table import Table
from modelgpt_edge.errors import InputError
from modelgpt_edge.parameters.blend import Blend
from modelgpt_edge.parameters.emissions import distil_all, paired, read_corrector, require_known
from modelgpt_edge.parameters.floor import Emission, Heads, emit_linear, fuse, solve_floor
from modelgpt_edge.parameters.prepare import MOST_COLUMNS, Prepared, Standard, prepare, targets_of
from modelgpt_edge.parameters.relevance import relevance
from modelgpt_edge.parameters.units import DRAW, draw_units

EVEN = Blend(share=0.5, linear=0.0, temperature=1.0, loss=0.0)
# As many as a table has in memory, and as a build takes.
MOST_ROWS, MOST_OUTPUTS = 25_000, 200


@dataclass(frozen=True)
class Begun:
    """A child whose units are drawn and whose heads aren't solved yet. It is finished once, for that draws from `rng`.

    Attributes:
        targets: what heads are solved for, (N, K).
        units: of all draws, which are none for the plain linear model.
        sizes: hidden units to try, as for `generate`.
        rng: as drawing the units has left it.
        named: columns that the task names.
    """

    ready: Prepared
    targets: Floats
    units: Units
    draws: int
    sizes: tuple[int, ...]
    rng: np.random.Generator
    generator: str
    blend: Blend
    named: Collection[str]
    standard: Standard
    classes: tuple[str, ...]

    @property
    def parts(self) -> tuple[Units, ...]:
        """The units that each solve is over: none, for the linear model, and then those of every draw."""
        return Units.none(self.ready.encoder.width), *(self.units.part(d, self.draws) for d in range(self.draws))


def begin_child(
    table: Table,
    units: Sequence[int],
    draws: int,
    seed: int,
    generator: str = "floor",
    blend: Blend = EVEN,
    encoder: Encoder | None = None,
) -> Begun:
    """The first step, from a table's sample, which of a small table is all of it.

    Args:
        units: hidden units to try, as for `generate`; 0 alone is the plain linear model.
        generator: ``floor``, ``linear`` or ``trained``.
        encoder: one that is fitted already and is kept.
    """
    rows, schema = table.sample, table.schema
    if generator == "trained":
        require_known(schema.classes)
    standard = Standard(0.0, 1.0) if schema.classes else Standard.of(np.asarray(rows.labels, np.float64))
    targets = targets_of(rows.labels, standard, schema.classes)
    ready = prepare(rows, targets, schema, encoder)
    return _begin(ready, targets, units, draws, seed, generator, blend, schema.named, standard, schema.classes)


def emit_encoded(encoded: Floats, targets: Floats, owners: Sequence[int], units: Sequence[int], draws: int, seed: int) -> Child:
    """Emit a child from columns that were encoded elsewhere; its encoder passes them through.

    Args:
        encoded: (N, D), about standardised, as an encoder gives them.
        targets: one-hot classes (N, K), or standardised values (N, 1).
        owners: (D,) number of the raw column behind each: columns of one word column move together.

    Raises:
        InputError: the arrays don't fit together, are too large, or hold what is no number.
    """
    begun = begin_encoded(encoded, targets, owners, units, draws, seed)
    return finish(begun, solve(begun))


def begin_encoded(
    encoded: Floats, targets: Floats, owners: Sequence[int], units: Sequence[int], draws: int, seed: int
) -> Begun:
    """The first step of `emit_encoded`."""
    _check("encoded", encoded, encoded.shape[:1], MOST_COLUMNS)
    _check("targets", targets, encoded.shape[:1], MOST_OUTPUTS)
    if len(owners) != encoded.shape[1]:
        cure = f"Give {encoded.shape[1]} numbers, one for each encoded column, or leave them out."
        raise InputError("the owners don't fit the encoded columns", where="owners", seen=len(owners), cure=cure)
    strange = next((owner for owner in owners if owner < 0), None)
    if strange is not None:
        cure = "Give each encoded column the number of its raw column, from 0 on."
        raise InputError("an owner is no column's number", where="owners", seen=strange, cure=cure)
    if targets.shape[1] > 1 and not (((targets == 0) | (targets == 1)).all() and (targets.sum(1) == 1).all()):
        cure = "Give each row a 1 in the column of its class and 0 elsewhere, or one column of standardised values."
        raise InputError("the targets are not one-hot", where="targets", cure=cure)
    ready = Prepared(_through(tuple(f"c{owner}" for owner in owners)), encoded, relevance(encoded, targets))
    classes = tuple(map(str, range(targets.shape[1]))) if targets.shape[1] > 1 else ()
    return _begin(ready, targets, units, draws, seed, "floor", EVEN, (), Standard(0.0, 1.0), classes)


def _begin(
    ready: Prepared,
    targets: Floats,
    sizes: Sequence[int],
    draws: int,
    seed: int,
    generator: str,
    blend: Blend,
    named: Collection[str],
    standard: Standard,
    classes: tuple[str, ...],
) -> Begun:
    rng, draws = np.random.default_rng(seed), draws if any(sizes) else 0
    units = Units.none(ready.encoder.width)
    if draws:
        units = draw_units(ready.encoded, targets, ready.relevance, DRAW, draws, rng)
    return Begun(ready, targets, units, draws, tuple(sizes), rng, generator, blend, named, standard, classes)


def solve(begun: Begun) -> tuple[Heads, ...]:
    """The second step, on the host: heads over each of the parts."""
    linear = emit_linear(begun.ready, begun.targets).heads
    if not begun.draws:
        return linear
    return linear + solve_floor(begun.ready, begun.targets, begun.units, DRAW, begun.draws).heads


def finish(begun: Begun, heads: Sequence[Heads]) -> Child:
    """The third step: a child distilled and fused from heads over each of the parts."""
    encoder, (line, *drawn) = begun.ready.encoder, heads
    floor = linear = Emission(encoder, Units.none(encoder.width), (line,))
    if drawn:
        floor = Emission(encoder, begun.units, tuple(drawn))
    corrector = read_corrector(begun.classes) if begun.generator == "trained" else None
    emissions, _ = distil_all(
        {"linear": linear, "floor": floor},
        begun.ready,
        begun.targets,
        begun.named,
        begun.sizes,
        begun.draws,
        begun.rng,
        corrector,
    )
    weights = begun.blend.weights(len(line.bias))
    return fuse(paired(emissions, begun.generator), weights, begun.standard, begun.classes)


def _check(name: str, array: Floats, rows: tuple[int, ...], most: int) -> None:
    if array.dtype != np.float32 or array.ndim != 2 or array.shape[:1] != rows:
        seen, cure = f"{array.dtype} {array.shape}", "Give `encoded` (N, D) and `targets` (N, K), both float32."
        raise InputError("a profile's arrays don't fit together", where=name, seen=seen, cure=cure)
    if not 2 <= len(array) <= MOST_ROWS or not 1 <= array.shape[1] <= most:
        cure = f"Give 2 to {MOST_ROWS:,} rows of 1 to {most:,} columns."
        raise InputError("this is too few or too many", where=name, seen=array.shape, cure=cure)
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        row, column = wrong[0]
        seen, cure = f"{array[row, column]} in row {row}, column {column}", "Fill gaps before you encode, and clip infinities."
        raise InputError("a value is no finite number", where=name, seen=seen, cure=cure)


def _through(names: tuple[str, ...]) -> Encoder:
    """An encoder whose columns are encoded already."""
    width, none, empty = len(names), np.zeros(0, np.int32), np.zeros(0, np.float32)
    zeros, table = np.zeros(width, np.float32), np.zeros((0, 0), np.float32)
    scale = np.ones(width, np.float32)
    return Encoder(names, (), (), none, empty, empty, zeros, zeros, scale, none, table, table, none)
