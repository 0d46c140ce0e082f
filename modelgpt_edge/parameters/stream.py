"""The same generators for tables larger than memory: units from a sample, ridge sums over every row.

Time grows linearly with the rows and memory not at all. The logistic heads are solved on the sample.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from modelgpt_edge.child import Encoder, Floats, Units
from modelgpt_edge.data.table import Rows, Table
from modelgpt_edge.kernels.gram import GramSums, add_rows
from modelgpt_edge.parameters.floor import DrawFeatures, Emission, Heads, LinearFeatures, solve_heads
from modelgpt_edge.parameters.prepare import Prepared, encode, prepare
from modelgpt_edge.parameters.ridge import decompose_sums
from modelgpt_edge.parameters.spread import spread
from modelgpt_edge.parameters.units import DRAW, draw_units


def emit_streamed(
    table: Table,
    targets_of: Callable[[Rows], Floats],
    draws: int,
    rng: np.random.Generator,
    workers: int,
    progress: Callable[[float], None],
    encoder: Encoder | None = None,
) -> tuple[Prepared, dict[str, Emission]]:
    """What every generator emits for all rows of a table but its held ones, and the prepared sample.

    Args:
        targets_of: one-hot classes (N, K), or standardised values (N, 1), of rows.
        encoder: one that was fitted on other rows; fitted on the sample where not given.
    """
    targets = targets_of(table.sample)
    ready = prepare(table.sample, targets, table.schema, encoder)
    units = draw_units(ready.encoded, targets, ready.relevance, DRAW, draws, rng) if draws else Units.none(ready.encoder.width)
    features: list[DrawFeatures | LinearFeatures] = [LinearFeatures.of(ready.encoded)]
    features += [DrawFeatures.of(units.part(d, draws), ready.encoded, DRAW) for d in range(draws)]
    sums = [GramSums.zeros(len(f.scale), targets.shape[1]) for f in features]

    done = 0
    for rows in table.chunks():
        add = partial(_add, encode(ready.encoder, rows), targets_of(rows))
        # list() waits for the whole chunk and hands on what a thread raised.
        list(spread(add, zip(sums, features), workers))
        done += len(rows)
        progress(min(1.0, done / table.rows))
    heads = list(spread(partial(_solve, ready, targets), zip(sums, features), workers))
    linear = Emission(ready.encoder, Units.none(ready.encoder.width), (heads[0],))
    return ready, {"linear": linear, "floor": Emission(ready.encoder, units, tuple(heads[1:])) if draws else linear}


Summed = tuple[GramSums, DrawFeatures | LinearFeatures]


def _add(encoded: Floats, targets: Floats, draw: Summed) -> None:
    sums, features = draw
    add_rows(sums, encoded, targets, features)


def _solve(ready: Prepared, targets: Floats, draw: Summed) -> Heads:
    sums, features = draw
    return solve_heads(decompose_sums(sums, features(ready.encoded), targets), features.scale)
