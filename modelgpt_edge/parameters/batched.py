"""The floor for many small tables at once: units drawn on the host, heads solved on a GPU; what a GPU server emits with.

Units are those of `emit_floor` to the bit. Heads are the same heads by another solver, close but not to the bit. On one device
a table gets the same bits in whatever company. Nothing that a build imports may import this.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch  # noqa: TID251 - for the GPU server, as the kernels

from modelgpt_edge.child import Floats, Units
from modelgpt_edge.errors import InputError
from modelgpt_edge.kernels.gram import gram
from modelgpt_edge.kernels.gram.batch import BatchUnits, Sums
from modelgpt_edge.kernels.ragged import Ragged
from modelgpt_edge.kernels.transfer import send
from modelgpt_edge.parameters.batched_launch import Draw, Launch, Size
from modelgpt_edge.parameters.floor import Emission, Heads
from modelgpt_edge.parameters.prepare import Prepared
from modelgpt_edge.parameters.units import Widths, draw_units


def emit_batch(
    tables: Sequence[tuple[Prepared, Floats]],
    widths: Widths,
    draws: int,
    seeds: Sequence[int | np.random.Generator],
    device: torch.device,
    workers: int = 1,
) -> list[Emission]:
    """Emit the floor for prepared rows and targets of many tables, each as by `emit_floor`.

    Args:
        tables: with one-hot classes (N, K), or standardised values (N, 1); N is 2 or more.
        draws: 0 for the plain linear model, as by `emit_linear`.
        seeds: one a table, or the generator itself, which has then drawn what `emit_floor` would have drawn.
        workers: threads that share the drawing; the result doesn't depend on it.

    Raises:
        InputError: a table that isn't finite, whose parts don't fit together, or whose heads aren't finite; it is named by its
            place.
    """
    if len(seeds) != len(tables):
        raise InputError("another number of seeds than tables", where="seeds", seen=len(seeds), cure=f"Give {len(tables)}.")
    for place, (ready, targets) in enumerate(tables):
        _check(f"table {place}", ready.encoded, targets)

    def drawn(place: int) -> Units:
        ready, targets = tables[place]
        if not draws:
            return Units.none(ready.encoded.shape[1])
        return draw_units(ready.encoded, targets, ready.relevance, widths, draws, np.random.default_rng(seeds[place]))

    with ThreadPoolExecutor(workers) as pool:
        units = list(pool.map(drawn, range(len(tables))))
    each = max(1, draws)
    drawings = [Drawn(r.encoded, y, tuple(u.part(d, each) for d in range(each))) for (r, y), u in zip(tables, units)]
    emissions = []
    for place, ((ready, _), own, heads) in enumerate(zip(tables, units, solve_batch(drawings, widths, device))):
        if heads is None:
            cure = "Rescale columns of extreme values."
            raise InputError("the heads can't be solved", where=f"table {place}", cure=cure)
        emissions.append(Emission(ready.encoder, own, heads))
    return emissions


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


def _check(where: str, encoded: Floats, targets: Floats) -> None:
    seen = [(array.dtype.name, array.shape) for array in (encoded, targets)]
    rows = len(encoded)
    if any(kind != "float32" or len(shape) != 2 or shape[0] != rows or not shape[1] for kind, shape in seen) or rows < 2:
        cure = "Give encoded rows (N, D) and targets (N, K), float32, of two rows or more."
        raise InputError("rows and targets don't fit together", where=where, seen=seen, cure=cure)
    for name, array in (("encoded", encoded), ("targets", targets)):
        if not np.isfinite(array).all():
            row = int(np.argmax(~np.isfinite(array).all(1)))
            cure = "Fill gaps before you encode, and clip infinities."
            raise InputError(f"{name}: a value is no finite number", where=where, seen=f"row {row}", cure=cure)


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
