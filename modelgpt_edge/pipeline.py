"""build(): the whole line, from a request to a checked package, one stage after the other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelgpt_edge.architecture.architecture import Size, list_sizes
from modelgpt_edge.architecture.choice import choose_size, require_fit
from modelgpt_edge.architecture.cost import Columns
from modelgpt_edge.build_options import check_generator, check_options
from modelgpt_edge.compile.compiler import Compiled, compile_child
from modelgpt_edge.compile.contents import describe, package_files
from modelgpt_edge.compile.package import check_place, write_package
from modelgpt_edge.data.cells import read_words
from modelgpt_edge.data.profile import Profile, profile
from modelgpt_edge.data.sources import Source, open_source
from modelgpt_edge.data.table import Rows, Table, open_table, read_rows
from modelgpt_edge.errors import BudgetError, InputError, nearest
from modelgpt_edge.frontier import Point, make_frontier
from modelgpt_edge.limits import NO_LIMITS, Limits
from modelgpt_edge.manifest import Manifest
from modelgpt_edge.parameters.emissions import require_known
from modelgpt_edge.parameters.generate import Generated, generate, score_rows
from modelgpt_edge.parameters.prepare import sketch_encoder
from modelgpt_edge.parameters.units import DRAW
from modelgpt_edge.parameters.widths import Scored, score_widths
from modelgpt_edge.report import build_report, remarks
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.classes_asked import check_classes
from modelgpt_edge.requirement.drivers.write import write_requirement
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.requirement.text_columns import TextColumns, find_texts
from modelgpt_edge.targets.backends import backends_of, require_toolchain
from modelgpt_edge.targets.native.toolchain import warm
from modelgpt_edge.targets.registry import find_target
from modelgpt_edge.targets.target import Target

if TYPE_CHECKING:
    from modelgpt_edge.runtime.model import Model

Progress = Callable[[str, float], None]
MANY_CLASSES = 20


@dataclass(frozen=True)
class Built:
    """A finished build.

    Attributes:
        path: the package's folder.
        manifest: what it holds.
        report: what happened, as JSON values: what `build --json` prints.
    """

    path: Path
    manifest: Manifest
    report: dict[str, Any]

    def load(self, variant: str | None = None) -> Model:
        """The model, ready to predict."""
        from modelgpt_edge.runtime.model import load

        return load(self.path, variant)


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


def build(
    task: str,
    data: object = None,
    *,
    label: str | None = None,
    kind: str | None = None,
    classes: Sequence[str] | Mapping[str, str] = (),
    text: str | Sequence[str] = (),
    encoder: str | None = None,
    target: str | Sequence[str] = (),
    backend: str | Sequence[str] = (),
    out: str | os.PathLike[str] = "model.edge",
    test: object = None,
    seed: int = 0,
    draws: int = 4,
    generator: str | None = None,
    finetune: float = 0.0,
    limits: Limits = NO_LIMITS,
    driver: str = "rules",
    private: bool = False,
    force: bool = False,
    progress: Progress = lambda stage, share: None,
) -> Built:
    """Make a model for a task, compile it for targets, check it, and write it as a package.

    Args:
        task: what the model shall do, in a sentence.
        data: a table with labels: a path (CSV, Parquet, JSONL, also gzipped), DataFrame, list of dicts, dict of columns,
            or 2-D array. None to make a model of texts from the names of `classes` alone.
        label: the label column; found where not given, and the report says how.
        kind: ``classification`` or ``regression``; told from task and data where not given.
        classes: for a task about texts: names of classes, or a dict of names and what they mean; the data's come besides.
        text: the column that holds the texts; told from the data where not given, and it is a table where there is none.
        encoder: folder or hub name of the sentence encoder of a model of texts; the one that ships where not given.
        target: names of devices; those that the task names where not given, or else ``x86``.
        backend: names of backends to compile by; each target's usual ones where not given.
        out: folder to write.
        test: labelled rows for the score, as `data`; cross-validated where not given.
        seed: of every random draw; the same seed on the same machine gives the same weights to the bit.
        draws: of hidden units that the model is distilled from, 1, 2 or 4; fewer are quicker.
        generator: ``floor``, ``linear`` or ``trained`` to overrule the guard, which ships the better of the first two; of texts
            ``words`` (classes' names alone), ``linear`` (examples alone) or ``floor`` (both).
        finetune: seconds to fine-tune the generated model for; the better of before and after on held-out rows ships. How far
            it gets depends on the machine and its load, so the weights are no longer the seed's alone.
        limits: what the model may cost on the device; each overrules what the task says, and a device's own count besides.
        driver: who helps to understand the task: ``rules`` alone, or a language model besides: ``openai:BASE_URL#MODEL``,
            ``transformers:PATH_OR_NAME``, ``gguf:FILE``. What it answers is checked, and the rules stand where it fails.
        private: show the language model no value of any row: names of columns, types and counts only.
        force: replace a package that lies at `out`.
        progress: called with a stage's name and the share of it that is done.

    Raises:
        ModelgptEdgeError: with what is wrong, where, the value seen and the cure; nothing is written then.
    """
    start = time.perf_counter()
    place = Path(out)
    check_place(place, force)
    check_options(seed, draws, finetune)
    backends = _listed(backend)
    request = Request(
        task=task,
        data=data,
        label=label,
        kind=kind,
        test=test,
        targets=_names(target),
        seed=seed,
        draws=draws,
        generator=generator,
        limits=limits,
        classes=check_classes(classes),
        texts=_listed(text),
        encoder=encoder,
        driver=driver,
        private=private,
    )

    progress("reading", 0)
    looked = look(request)
    if looked.texts is not None or looked.profile is None:
        from modelgpt_edge.text_pipeline import build_texts

        if finetune:
            cure = "Leave it out: give more examples instead."
            raise InputError("models of texts aren't fine-tuned", where="--finetune", seen=finetune, cure=cure)
        manifest, report = build_texts(request, looked.texts, looked.profile, place, backends, force, progress)
        return Built(place, manifest, report)
    check_generator(generator)
    understood = understand(request, looked)
    table, requirement, targets, sizes = understood.table, understood.requirement, understood.targets, understood.sizes
    test = None if request.test is None else _test_rows(request, requirement)
    require_fit(sizes)
    if generator == "trained":
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
        seed,
        lambda share: progress("scoring sizes", share),
    )
    generated, compiled, skipped = _first_that_fits(
        _trials(sizes, scored, understood.limited),
        lambda units: generate(
            table, units, draws, seed, progress, generator if any(units) else "linear", finetune=float(finetune)
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
        seed,
        _chooser(generator, generated.generator),
    )
    write_package(place, package_files(manifest, generated, compiled, frontier, notes), force)
    report = build_report(
        place, manifest, generated, compiled, frontier, understood.limited, notes, time.perf_counter() - start
    )
    return Built(place, manifest, report)


def plan(
    task: str,
    data: object,
    *,
    label: str | None = None,
    kind: str | None = None,
    target: str | Sequence[str] = (),
    backend: str | Sequence[str] = (),
    draws: int = 4,
    limits: Limits = NO_LIMITS,
    driver: str = "rules",
    private: bool = False,
) -> tuple[Understood, list[Point]]:
    """What a build would be like: the requirement, and every size with its estimated cost; nothing is generated or written.

    Args and errors are those of `build`; sizes that don't fit are told, not raised.
    """
    check_options(0, draws, 0)
    request = Request(
        task=task,
        data=data,
        label=label,
        kind=kind,
        targets=_names(target),
        draws=draws,
        limits=limits,
        driver=driver,
        private=private,
    )
    looked = look(request)
    if looked.texts is not None:
        cure = "Leave out --dry-run: a model of texts has one size."
        raise InputError("sizes are weighed for tables", where="--dry-run", seen=looked.texts.texts[0].name, cure=cure)
    understood = understand(request, looked)
    for device in understood.targets:
        backends_of(device, _listed(backend))
    return understood, make_frontier(understood.sizes, {}, None, None)


@dataclass(frozen=True)
class Looked:
    """The data, read through once.

    Attributes:
        source, profile: None where there is no data.
        texts: where texts and labels are; None for a table.
    """

    source: Source | None
    profile: Profile | None
    texts: TextColumns | None


def look(request: Request) -> Looked:
    """Look at the data, and tell a task about texts from one about a table.

    Raises:
        InputError: there is neither data nor classes, or they don't fit together.
    """
    if not request.task.strip():
        raise InputError("the task is empty", where="--task", cure="Say what to predict, such as 'predict churn'.")
    if request.data is None:
        if not request.classes:
            cure = "Give --data FILE, or --classes 'refund,card lost' for a model of texts without any."
            raise InputError("there is nothing to make a model from", where="--data", cure=cure)
        asked = {"--label": request.label, "--text": request.texts}
        idle = next((option for option, value in asked.items() if value), None)
        if idle is not None:
            cure = "Give --data FILE, or leave it out."
            raise InputError("this option is about data, and there is none", where=idle, seen=asked[idle], cure=cure)
        return Looked(None, None, None)
    source = open_source(request.data)
    facts = profile(source, request.seed)
    texts = find_texts(request.texts, request.label, request.task, facts)
    if texts is None and (request.classes or request.encoder is not None):
        option = "--classes" if request.classes else "--encoder"
        cure = "Name the column of texts by --text, or leave the option out."
        raise InputError("this data is a table, and the option is for texts", where=option, seen=source.name, cure=cure)
    return Looked(source, facts, texts)


def understand(request: Request, looked: Looked) -> Understood:
    """Say what is asked of a table.

    Raises:
        InputError: an option names what isn't there, or the table has nothing to learn from.
    """
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


def _names(target: str | Sequence[str]) -> tuple[str, ...]:
    """Canonical names of the targets asked for."""
    return tuple(find_target(name).name for name in _listed(target))


def _listed(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


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
