"""The floor for many small tables at once: units drawn on the host, heads solved on a GPU; what a GPU server emits with.

Units are those of `emit_floor` to the bit. Heads are the same heads by another solver, close but not to the bit. On one device
a table gets the same bits in whatever company. Nothing that a build imports may import this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch  # noqa: TID251 - for the GPU server, as the kernels

from modelgpt_edge.child import Floats, Units
from modelgpt_edge.kernels.gram import gram
from modelgpt_edge.kernels.gram.batch import BatchUnits, Sums
from modelgpt_edge.kernels.ragged import Ragged
from modelgpt_edge.kernels.transfer import send
from modelgpt_edge.parameters.batched_launch import Draw, Launch, Size
from modelgpt_edge.parameters.floor import Heads
from modelgpt_edge.parameters.units import Widths


@dataclass(frozen=True, eq=False)
class Drawn:
    """A table's rows (N, D) and targets (N, K), and the units of each solve over them; none, for the linear model, is one."""

    encoded: Floats
    targets: Floats
    parts: tuple[Units, ...]


def solve_batch(tables: Sequence[Drawn], widths: Widths, device: torch.device) -> list[tuple[Heads, ...] | None]:
    """Heads over each of the parts of every table; None for a table that has heads that aren't finite.

    Units are drawn elsewhere, as by the processes that prepare tables.
    """
    work = [Draw(place, table.encoded, table.targets, part) for place, table in enumerate(tables) for part in table.parts]
    heads = iter(_solve_all(work, widths, device))
    found: list[tuple[Heads, ...] | None] = []
    for table in tables:
        mine = [next(heads) for _ in table.parts]
        solved = tuple(h for h in mine if h is not None)
        found.append(solved if len(solved) == len(mine) else None)
    return found


def _solve_all(work: Sequence[Draw], widths: Widths, device: torch.device) -> list[Heads | None]:
    """Heads of every draw, in their order; None where they aren't finite."""
    alike: dict[Size, list[int]] = {}
    for i, draw in enumerate(work):
        alike.setdefault(draw.size, []).append(i)
    sampled = [i for size, members in alike.items() if size.sampled for i in members]
    sums = dict(zip(sampled, _sum_all([work[i] for i in sampled], device)))
    solved: dict[int, Heads | None] = {}
    for size, members in alike.items():
        slots = size.slots(device)
        for start in range(0, len(members), slots):
            mine = members[start : start + slots]
            filled = [mine[k % len(mine)] for k in range(slots)]
            launch = Launch.of(size, [work[i] for i in filled], device)
            posed = launch.pose_sums([sums[i] for i in filled], widths) if size.sampled else launch.pose_rows(widths)
            solved.update(zip(mine, launch.solve(posed)))  # zip leaves the copies out
    return [solved[i] for i in range(len(work))]


def _sum_all(work: Sequence[Draw], device: torch.device) -> list[Sums]:
    """Sums over all rows of long tables, in one launch; a table stands once for all its draws."""
    if not work:
        return []
    tables = {draw.place: draw for draw in work}
    places = sorted(tables)
    own = np.searchsorted(places, [draw.place for draw in work])
    inputs = Ragged.of([send(tables[place].encoded, device) for place in places])
    targets = Ragged.of([send(tables[place].targets, device) for place in places])
    made = gram(inputs.take(own), targets.take(own), BatchUnits.of([draw.units for draw in work], device))
    return [made[g] for g in range(len(work))]
