"""What every generator emits for rows, and what becomes of it when it is distilled: the contenders that evidence judges."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

import numpy as np

from modelgpt_edge.child import Encoder, Floats
from modelgpt_edge.data.table import Rows
from modelgpt_edge.errors import InputError
from modelgpt_edge.parameters.correction import correct
from modelgpt_edge.parameters.corrector import CLASSES, SHIPPED, Corrector
from modelgpt_edge.parameters.distil import Match
from modelgpt_edge.parameters.floor import Emission, emit_floor, emit_linear
from modelgpt_edge.parameters.prepare import Prepared, prepare
from modelgpt_edge.parameters.units import DRAW
from modelgpt_edge.schema import Schema

# The first of equals is ahead; the trained one is made where it is asked for.
GENERATORS = ("floor", "linear", "trained")
T = TypeVar("T")


def emit_all(
    rows: Rows,
    targets: Floats,
    schema: Schema,
    draws: int,
    rng: np.random.Generator,
    workers: int = 1,
    encoder: Encoder | None = None,
) -> tuple[Prepared, dict[str, Emission]]:
    """What every generator emits for rows with targets, on one common encoder, fitted here where not given.

    Without draws the floor is the linear model.
    """
    ready = prepare(rows, targets, schema, encoder)
    linear = emit_linear(ready, targets)
    return ready, {"linear": linear, "floor": emit_floor(ready, targets, DRAW, draws, rng, workers) if draws else linear}


def distil_all(
    emissions: Mapping[str, Emission],
    ready: Prepared,
    targets: Floats,
    named: Collection[str],
    units: Sequence[int],
    draws: int,
    rng: np.random.Generator,
    corrector: Corrector | None,
) -> tuple[dict[str, Emission], float]:
    """Distil what was emitted: the floor, and with a corrector what it makes of the floor, under ``trained``.

    Args:
        named: columns that the task names.
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
    trained = correct(match, corrector, ready, targets, named, rng).distil(floor.emission.units.count)
    return {**distilled, "trained": trained.emission}, trained.divergence


def paired(emitted: Mapping[str, T], generator: str) -> dict[str, T]:
    """What a blend of a generator weighs: what it emitted itself, in the floor's place, and the linear model."""
    return {"floor": emitted["trained" if generator == "trained" else "floor"], "linear": emitted["linear"]}


def require_known(classes: Sequence[str]) -> None:
    """InputError where the trained generator doesn't know tables of so many classes."""
    if not 2 <= len(classes) <= CLASSES:
        seen = f"{len(classes)} classes" if classes else "a label of amounts"
        cure = "Leave out --generator: the better of floor and linear ships then."
        raise InputError("the trained generator knows tables of 2 to 10 classes", where="--generator", seen=seen, cure=cure)


def read_corrector(classes: Sequence[str]) -> Corrector:
    """The shipped corrector; InputError where it doesn't know tables of so many classes."""
    require_known(classes)
    return Corrector.read(SHIPPED)
