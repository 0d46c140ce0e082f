"""build(): the whole line, from a request to a checked package, one stage after the other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelgpt_edge.architecture.architecture import candidates, choose_architecture
from modelgpt_edge.compile.compiler import compile_child
from modelgpt_edge.compile.contents import describe, package_files
from modelgpt_edge.compile.native import start_library
from modelgpt_edge.compile.package import check_place, write_package
from modelgpt_edge.data.cells import read_words
from modelgpt_edge.data.profile import profile
from modelgpt_edge.data.sources import open_source
from modelgpt_edge.data.table import Rows, Table, open_table, read_rows
from modelgpt_edge.errors import InputError, nearest
from modelgpt_edge.manifest import Manifest
from modelgpt_edge.parameters.evidence import GENERATORS
from modelgpt_edge.parameters.generate import generate, score_rows
from modelgpt_edge.parameters.prepare import encoded_width
from modelgpt_edge.report import build_report, remarks
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.requirement.rules import write_requirement
from modelgpt_edge.targets.native import find_compiler
from modelgpt_edge.targets.registry import find_target

if TYPE_CHECKING:
    from modelgpt_edge.runtime.model import Model

Progress = Callable[[str, float], None]


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


def build(
    task: str,
    data: object,
    *,
    label: str | None = None,
    kind: str | None = None,
    target: str | Sequence[str] = (),
    out: str | os.PathLike[str] = "model.edge",
    test: object = None,
    seed: int = 0,
    draws: int = 4,
    generator: str | None = None,
    force: bool = False,
    progress: Progress = lambda stage, share: None,
) -> Built:
    """Make a model for a task, compile it for targets, check it, and write it as a package.

    Args:
        task: what the model shall do, in a sentence.
        data: a table with labels: a path (CSV, Parquet, JSONL, also gzipped), DataFrame, list of dicts, dict of columns,
            or 2-D array.
        label: the label column; found where not given, and the report says how.
        kind: ``classification`` or ``regression``; told from task and data where not given.
        target: names of devices; those that the task names where not given, or else ``x86``.
        out: folder to write.
        test: labelled rows for the score, as `data`; cross-validated where not given.
        seed: of every random draw; the same seed on the same machine gives the same weights to the bit.
        draws: how many draws of hidden units are merged, 1, 2 or 4; fewer make a smaller model.
        generator: ``floor`` or ``linear`` to overrule the guard, which ships the better one.
        force: replace a package that lies at `out`.
        progress: called with a stage's name and the share of it that is done.

    Raises:
        ModelgptEdgeError: with what is wrong, where, the value seen and the cure; nothing is written then.
    """
    start = time.perf_counter()
    names = (target,) if isinstance(target, str) else tuple(target)
    place = Path(out)
    check_place(place, force)
    _check_options(seed, draws, generator)
    request = Request(task, data, label, kind, test, tuple(find_target(n).name for n in names), seed, draws, generator)

    progress("reading", 0)
    table, requirement, notes, columns = _understand(request)
    test = None if request.test is None else _test_rows(request, requirement)
    targets = tuple(find_target(name) for name in requirement.targets)
    # The C template takes a second to compile on a new machine: that runs beside the generation.
    library = start_library() if any("native" in t.backends for t in targets) and find_compiler() else None
    encoded = encoded_width(table.sample)
    architecture = choose_architecture(requirement, encoded, draws)
    generated = generate(table, architecture, seed, progress, generator if architecture.units else "linear")
    scores = generated.scores if test is None else score_rows(generated, *test)
    progress("compiling", 0)
    compiled = compile_child(
        generated.child,
        generated.unfused,
        table.sample,
        targets,
        version("modelgpt-edge"),
        library,
        requirement.limits.flash_bytes,
    )
    notes += (*remarks(requirement, generated, compiled), *compiled.notes)
    progress("writing", 0)
    manifest = describe(request, requirement, columns, architecture, generated, scores, compiled)
    files = package_files(manifest, generated, compiled, notes)
    write_package(place, files, force)
    sizes = candidates(requirement.schema, encoded, draws)
    report = build_report(place, manifest, generated, compiled, sizes, notes, time.perf_counter() - start)
    return Built(place, manifest, report)


def _check_options(seed: int, draws: int, generator: str | None) -> None:
    if draws not in (1, 2, 4):
        raise InputError("this many draws can't be merged", where="--draws", seen=draws, cure="Give 1, 2 or 4.")
    if seed < 0:
        raise InputError("a seed can't be negative", where="--seed", seen=seed, cure="Give 0 or more.")
    if generator is not None and generator not in GENERATORS:
        cure = f"Give {' or '.join(GENERATORS)}, or leave it to the guard."
        raise InputError("there is no such generator", where="--generator", seen=generator, cure=cure)


def _understand(request: Request) -> tuple[Table, Requirement, tuple[str, ...], tuple[str, ...]]:
    """The typed table, the requirement, notes for the user, and the names of all columns but the label."""
    if not request.task.strip():
        raise InputError("the task is empty", where="--task", cure="Say what to predict, such as 'predict churn'.")
    source = open_source(request.data)
    facts = profile(source, request.seed)
    requirement = write_requirement(request, facts)
    table = open_table(source, facts, requirement.schema)
    columns = tuple(c for c in source.columns if c != requirement.schema.label.name)
    return table, requirement, (*facts.notes, *requirement.notes, *table.notes), columns


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
