"""refit(): new data into a package's templates. Encoding, size and compiled code stay; units, heads and scores are new."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from modelgpt_edge.architecture.architecture import Architecture
from modelgpt_edge.child import Child, Encoder
from modelgpt_edge.child_file import read_child
from modelgpt_edge.compile.compiler import Compiled, Fitted, refit_child
from modelgpt_edge.compile.contents import describe, package_files
from modelgpt_edge.compile.package import check_place, write_package
from modelgpt_edge.data.profile import profile
from modelgpt_edge.data.sources import open_source
from modelgpt_edge.data.table import Table, open_table
from modelgpt_edge.errors import InputError, nearest
from modelgpt_edge.finetuning import was_finetuned
from modelgpt_edge.manifest import Manifest
from modelgpt_edge.parameters.generate import Generated, generate
from modelgpt_edge.requirement.wording import counted, shown
from modelgpt_edge.runtime.executors import variant_parts
from modelgpt_edge.runtime.opening import Package, open_package
from modelgpt_edge.targets.tensorrt.engine import engine_folder

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Refitted:
    """A finished refit.

    Attributes:
        path: the package's folder.
        report: what happened, as JSON values: what `refit --json` prints.
    """

    path: Path
    report: dict[str, Any]


def refit(
    package: str | os.PathLike[str],
    data: object,
    *,
    out: str | os.PathLike[str] | None = None,
    seed: int | None = None,
    force: bool = False,
    progress: Progress = lambda stage, share: None,
) -> Refitted:
    """Solve a package's model anew on other rows of the same columns, and put the weights into every compiled variant.

    Nothing is compiled: ONNX files get other initializers, native and TVM libraries other tables, C sources other constants.
    Words that the old table didn't have stay unknown, and its medians and scales stay; build anew where the data has changed
    much.

    Args:
        package: the package's folder.
        data: labelled rows, as for `build`.
        out: folder to write; the package itself, which `force` must allow, where not given.
        seed: of the random draws; the package's own where not given.

    Raises:
        ModelgptEdgeError: with what is wrong, where, the value seen and the cure; nothing is written then.
    """
    start = time.perf_counter()
    place = Path(package if out is None else out)
    check_place(place, force)
    if seed is not None and seed < 0:
        raise InputError("a seed can't be negative", where="--seed", seen=seed, cure="Give 0 or more.")
    opened = open_package(package)
    manifest, old = opened.manifest, read_child(opened.child)
    progress("reading", 0)
    table, notes = read_table(manifest, data)
    notes += _strange_words(table, old.encoder)
    notes += ("What was measured with the old weights isn't kept: the frontier of sizes, and profiles.",)
    if was_finetuned(manifest.generator):
        notes += ("The package was fine-tuned, and a refit doesn't fine-tune: the new weights are as generated.",)
    architecture, seed = _architecture(manifest), manifest.seed if seed is None else seed
    generated = regenerate(manifest, old, table, seed, progress)
    progress("refitting", 0)
    begun = time.perf_counter()
    compiled = refit_child(generated.child, generated.unfused, table.sample, _variants(opened), version("modelgpt-edge"))
    seconds = time.perf_counter() - begun
    fresh = describe(
        manifest.requirement,
        manifest.columns,
        architecture,
        generated,
        generated.scores,
        compiled,
        seed,
        "refit",
    )
    write_package(place, package_files(fresh, generated, compiled, (), notes) | _engines(opened), force)
    return Refitted(place, _report(place, fresh, generated, compiled, notes, seconds, time.perf_counter() - start))


def regenerate(
    manifest: Manifest, old: Child, table: Table, seed: int, progress: Progress = lambda stage, share: None
) -> Generated:
    """What a package's own generator, for another one would have another shape, makes of a new table on the old encoder."""
    architecture = _architecture(manifest)
    generated = generate(
        table, (architecture.units,), architecture.draws, seed, progress, str(manifest.generator["name"]), encoder=old.encoder
    )
    require_same_shape(old, generated.child)
    return generated


def read_table(manifest: Manifest, data: object) -> tuple[Table, tuple[str, ...]]:
    """The new rows, read by the package's own schema, and notes on them.

    Raises:
        InputError: a column or a class of the package has no row.
    """
    schema = manifest.requirement.schema
    source = open_source(data)
    needed = [c.name for c in (*schema.columns, schema.label)]
    absent = next((name for name in needed if name not in source.columns), None)
    if absent is not None:
        cure = nearest(absent, source.columns)
        raise InputError("the table lacks a column that the package was built from", where=source.name, seen=absent, cure=cure)
    facts = profile(source, manifest.seed)
    table = open_table(source, facts, schema)
    strange = [name for name in facts.column(schema.label.name).counts if name not in schema.classes] if schema.classes else []
    such = (f"the package has no class {shown(strange[0])}: its rows are among those left out",) if strange else ()
    _require_rows(table, manifest)
    return table, (*facts.notes, *table.notes, *such)


def _strange_words(table: Table, encoder: Encoder) -> tuple[str, ...]:
    """A note on each column with words that the package's encoder doesn't have."""
    notes = []
    for name, vocabulary in zip(encoder.words, encoder.vocabularies):
        known = {*vocabulary, ""}
        strange = [word for word in table.sample.words[name].tolist() if word not in known]
        if strange:
            rows, such = counted(len(strange), "row"), shown(strange[0])
            notes.append(f"Column {shown(name)}: words of {rows}, such as {such}, are none of the package's and count as none.")
    return tuple(notes)


def _require_rows(table: Table, manifest: Manifest) -> None:
    """InputError where there is one row alone, or a class has none: its head can't be solved, and other classes would shift."""
    if len(table.sample) < 2:
        cure = "Give at least two rows with a label, better some dozens."
        raise InputError("only one row has a label", where=manifest.requirement.schema.label.name, cure=cure)
    present = set(table.sample.labels.tolist())
    absent = [name for place, name in enumerate(manifest.classes) if place not in present]
    if absent:
        cure = "Give rows of every class of the package, or build anew."
        raise InputError(
            "a class of the package has no row", where=manifest.requirement.schema.label.name, seen=absent[0], cure=cure
        )


def _architecture(manifest: Manifest) -> Architecture:
    a = manifest.architecture
    return Architecture(a["template"], a["units"], a["draws"], a["bytes"], a["macs"])


def require_same_shape(old: Child, new: Child) -> None:
    """InputError where compiled variants of the one can't take the other's weights."""
    shapes = [(c.units.counts, c.head_weight.shape) for c in (old, new)]
    if shapes[0] != shapes[1]:
        raise InputError("the new weights have another shape", where="refit", seen=shapes[1], cure="Build anew.")


def _variants(package: Package) -> list[Fitted]:
    fitted = []
    for variant in package.manifest.variants:
        backend, files, target = variant_parts(package, variant)
        size = sum(
            (package.path / name).stat().st_size for name in package.manifest.files if name.startswith(f"{variant.path}/")
        )
        fitted.append(Fitted(target, backend.name, variant.precision, files, None if size == variant.bytes else variant.bytes))
    return fitted


def _engines(package: Package) -> dict[str, bytes]:
    """Engines that `finalize` built: none takes the new weights yet, and it refits them instead of building anew."""
    folders = [engine_folder(package.path / variant.path) for variant in package.manifest.variants]
    files = [path for f in folders if f is not None and f.is_dir() for path in f.iterdir() if path.is_file()]
    return {path.relative_to(package.path).as_posix(): path.read_bytes() for path in files}


def _report(
    place: Path,
    manifest: Manifest,
    generated: Generated,
    compiled: Compiled,
    notes: tuple[str, ...],
    refitting: float,
    seconds: float,
) -> dict[str, Any]:
    return {
        "package": str(place),
        "score": dict(manifest.score["child"]),
        "linear": dict(manifest.score["linear"]),
        "baseline": dict(manifest.score["baseline"]),
        "generator": {**manifest.generator, "seconds": round(generated.seconds, 3)},
        "variants": [c.to_json() | {"path": c.path} for c in compiled.candidates],
        "checks": [h.to_json() for h in compiled.hops],
        "notes": list(notes),
        "refit_seconds": round(refitting, 4),
        "seconds": round(seconds, 3),
    }
