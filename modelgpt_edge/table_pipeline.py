"""The line for tables: sizes scored, hidden units drawn and heads solved, compiled and checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from modelgpt_edge.architecture.architecture import Size, list_sizes
from modelgpt_edge.architecture.choice import choose_size, require_fit
from modelgpt_edge.architecture.cost import Columns
from modelgpt_edge.compile.compiler import Compiled, compile_child
from modelgpt_edge.compile.contents import describe, package_files
from modelgpt_edge.compile.package import write_package
from modelgpt_edge.data.cells import read_words
from modelgpt_edge.data.sources import open_source
from modelgpt_edge.data.table import Rows, Table, open_table, read_rows
from modelgpt_edge.errors import BudgetError, InputError, nearest
from modelgpt_edge.frontier import make_frontier
from modelgpt_edge.looking import Looked, look
from modelgpt_edge.manifest import Manifest
from modelgpt_edge.parameters.emissions import require_known
from modelgpt_edge.parameters.generate import Generated, generate, score_rows
from modelgpt_edge.parameters.prepare import sketch_encoder
from modelgpt_edge.parameters.units import DRAW
from modelgpt_edge.parameters.widths import Scored, score_widths
from modelgpt_edge.report import build_report, remarks
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.drivers.write import write_requirement
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.targets.backends import backends_of, require_toolchain
from modelgpt_edge.targets.native.toolchain import warm
from modelgpt_edge.targets.registry import find_target
from modelgpt_edge.targets.target import Target

Progress = Callable[[str, float], None]
MANY_CLASSES = 20


@dataclass(frozen=True)
class Understood:
    """A request with its data looked at: the table, what is asked of it, and the sizes that the model could have.

    Attributes:
        columns: names of the table's columns but the label.
        notes: what the user should know.
    """

    table: Table
    requirement: Requirement
    targets: tuple[Target, ...]
    sizes: list[Size]
    columns: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def limited(self) -> bool:
        """Whether a smaller model is worth having: the task or an option names a limit, or a device has little flash."""
        return self.requirement.limits.any or any(t.flash_bytes is not None for t in self.targets)


def understand(request: Request, looked: Looked | None = None) -> Understood:
    """Say what is asked of a table.

    Args:
        looked: what the first look at its data found; None to look now.

    Raises:
        InputError: an option names what isn't there, or the table has nothing to learn from.
    """
    looked = look(request) if looked is None else looked
    source, facts = looked.source, looked.profile
    if source is None or facts is None:
        raise InputError("a table is needed", where="--data", cure="Give --data FILE.")
    requirement = write_requirement(request, facts)
    schema, limits = requirement.schema, requirement.limits
    table = open_table(source, facts, schema)
    targets = tuple(find_target(name) for name in requirement.targets)
    encoded = Columns.of(sketch_encoder(table.sample, schema))
    sizes = list_sizes(encoded, max(1, len(schema.classes)), request.draws, targets, limits)
    if request.generator == "linear":
        sizes = sizes[-1:]
    columns = tuple(c for c in source.columns if c != schema.label.name)
    return Understood(table, requirement, targets, sizes, columns, (*facts.notes, *requirement.notes, *table.notes))


def build_table(
    request: Request,
    understood: Understood,
    place: Path,
    backends: tuple[str, ...],
    finetune: float,
    force: bool,
    progress: Progress,
) -> tuple[Manifest, dict[str, Any]]:
    """Make a model of a table and write its package; the manifest and the report are returned.

    Args:
        place, backends, finetune, force, progress: as for `build`, whose errors these are.
    """
    start = time.perf_counter()
    table, requirement, targets, sizes = understood.table, understood.requirement, understood.targets, understood.sizes
    test = None if request.test is None else _test_rows(request, requirement)
    require_fit(sizes)
    if request.generator == "trained":
        require_known(requirement.schema.classes)
    for device in targets:
        require_toolchain(device, backends_of(device, backends))  # told before any work
    # The C template takes a second to compile on a new machine: that runs beside the generation.
    for device in targets:
        if "native" in device.backends:
            warm(device)
    scored = score_widths(
        table,
        _widths(sizes, understood.limited, len(requirement.schema.classes)),
        request.seed,
        lambda share: progress("scoring sizes", share),
    )
    generated, compiled, skipped = _first_that_fits(
        _trials(sizes, scored, understood.limited),
        lambda units: generate(
            table,
            units,
            request.draws,
            request.seed,
            progress,
            request.generator if any(units) else "linear",
            finetune=finetune,
        ),
        lambda made: compile_child(
            made.child, made.unfused, table.sample, targets, version("modelgpt-edge"), requirement.limits, backends, progress
        ),
    )
    architecture = next(s.architecture for s in sizes if s.architecture.units == generated.child.units.count)
    scores = generated.scores if test is None else score_rows(generated, *test)
    notes = (*understood.notes, *remarks(requirement, generated, test is not None), *skipped, *compiled.notes)
    frontier = make_frontier(sizes, scored, architecture, generated.scores.child)
    progress("writing", 0)
    manifest = describe(
        requirement,
        understood.columns,
        architecture,
        generated,
        scores,
        compiled,
        request.seed,
        _chooser(request.generator, generated.generator),
    )
    write_package(place, package_files(manifest, generated, compiled, frontier, notes), force)
    report = build_report(
        place, manifest, generated, compiled, frontier, understood.limited, notes, time.perf_counter() - start
    )
    return manifest, report


def _widths(sizes: list[Size], limited: bool, outputs: int) -> list[int]:
    """Sizes that are scored: those that can be distilled from one draw.

    Without a limit a table of very many classes has only its own score: solving their heads for the picture's sake takes longer
    than generating the model.
    """
    if not limited and outputs > MANY_CLASSES:
        return []
    return [s.architecture.units for s in sizes if s.architecture.units <= DRAW.total]


def _trials(sizes: list[Size], scored: Mapping[int, Scored], limited: bool) -> list[Sequence[int]]:
    """Hidden units to generate, from the first trial on: what a limit's choice allows, or else the smallest faithful child."""
    if limited:
        choice = choose_size(sizes, {units: s.losses for units, s in scored.items()})
        return [(size.architecture.units,) for size in choice]
    return [[s.architecture.units for s in reversed(sizes) if s.architecture.units] or (0,)]


def _first_that_fits(
    trials: Sequence[Sequence[int]], make: Callable[[Sequence[int]], Generated], compile_it: Callable[[Generated], Compiled]
) -> tuple[Generated, Compiled, tuple[str, ...]]:
    """The first trial, or the next smaller one where what was compiled breaks a limit that its estimate kept, and why."""
    skipped: tuple[str, ...] = ()
    for units in trials[:-1]:
        generated = make(units)
        try:
            return generated, compile_it(generated), skipped
        except BudgetError as error:
            skipped += (f"A model of {generated.child.units.count:,} hidden units was made and left: {error}",)
    generated = make(trials[-1])
    return generated, compile_it(generated), skipped


def _chooser(asked: str | None, made: str) -> str:
    """Who chose the generator: the user, unless limits left no room for hidden units; or the guard."""
    if asked is None:
        return "guard"
    return "user" if made == asked else "limits"


def _test_rows(request: Request, requirement: Requirement) -> tuple[Rows, str]:
    """The user's own test rows, and how to name them; rows without a label are left out, classes never seen stay."""
    source = open_source(request.test)
    schema = requirement.schema
    needed = [c.name for c in (*schema.columns, schema.label)]
    absent = next((name for name in needed if name not in source.columns), None)
    if absent is not None:
        cure = nearest(absent, source.columns)
        raise InputError("the test table has no such column", where=f"--test {source.name}", seen=absent, cure=cure)
    parts = []
    for chunk in source.chunks():
        rows = read_rows(chunk, schema)
        parts.append(rows.take(read_words(chunk[schema.label.name]) != "" if schema.classes else rows.labelled))
    rows = Rows.join(parts)
    if not len(rows):
        raise InputError("no row of the test table has a label", where=f"--test {source.name}", cure="Give labelled rows.")
    return rows, f"the test table {Path(source.name).name}"
