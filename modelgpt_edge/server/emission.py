"""What a worker process does with a job. Nothing of HTTP comes in here; what goes wrong is a `Refused`, never an exception.

Running out of memory alone is raised: whoever launched the job may try it again by itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from modelgpt_edge.architecture.architecture import SIZES, Architecture
from modelgpt_edge.child import Child, Floats
from modelgpt_edge.child_file import child_bytes, child_tensors, read_child
from modelgpt_edge.data.profile import profile
from modelgpt_edge.data.sources import open_source
from modelgpt_edge.data.table import open_table
from modelgpt_edge.encoder_file import encoder_tensors
from modelgpt_edge.errors import GateError, InputError, ModelgptEdgeError, PackageError
from modelgpt_edge.manifest import MANIFEST, Manifest
from modelgpt_edge.parameters.blend import Blend
from modelgpt_edge.parameters.emissions import GENERATORS
from modelgpt_edge.parameters.generate import generate
from modelgpt_edge.parameters.quick import Begun, begin_child, begin_encoded, emit_encoded, finish, solve
from modelgpt_edge.parameters.units import DRAW
from modelgpt_edge.refit import read_table, regenerate, require_same_shape
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.rules import write_requirement
from modelgpt_edge.requirement.text_columns import find_texts
from modelgpt_edge.runtime.opening import open_package
from modelgpt_edge.server.disk import disk_full, is_full
from modelgpt_edge.server.errors import error_json, no_pictures, status_of
from modelgpt_edge.server.jobs import BuildJob, Done, Job, ProfileJob, RefitJob, Refused, Result, RowsJob, TextsJob
from modelgpt_edge.server.memory import says_short
from modelgpt_edge.server.steps import Begin, Finish, Packed

Tell = Callable[[str, float], None]
# What is told of a table goes in a header: bytes of its notes at most, for proxies take no long ones.
MOST_NOTED = 2000
# Bytes of a template's manifest: as JSON unpacks in memory, twenty times as many are taken.
MOST_MANIFEST = 8 << 20


def do(job: Job | Begin | Finish, tell: Tell = lambda stage, share: None) -> Result | Packed:
    """Do a job, or the first or third step of one that a device has a part in.

    Raises:
        MemoryError: this machine has too little for it, or for all that runs at once.
    """
    asked = job.job if isinstance(job, Begin | Finish) else job
    try:
        if isinstance(asked, BuildJob):
            return _build(asked, tell)
        if isinstance(asked, TextsJob):
            from modelgpt_edge.server.text_emission import emit_texts

            return emit_texts(asked, job)
        return _emit(asked, job)
    except ModelgptEdgeError as error:
        if says_short(error):
            raise MemoryError from error
        told = disk_full() if is_full(error.__cause__) else error
        return Refused(status_of(told), error_json(told), isinstance(asked, RefitJob) and isinstance(error, PackageError))
    except MemoryError:
        raise
    except np.linalg.LinAlgError as error:
        return _failed(f"the weights can't be solved: {error}", "Check the rows for extreme values.")
    except Exception as error:  # the last resort: one request's fault must not take the worker with it
        if says_short(error):
            raise MemoryError from error
        if is_full(error):
            return Refused(disk_full().status, error_json(disk_full()))
        return _failed(f"an internal error: {type(error).__name__}: {error}", "Report it, with the request.")


def _failed(what: str, cure: str) -> Refused:
    return Refused(500, error_json(InputError(what, where="server", cure=cure)))


def _emit(job: RowsJob | ProfileJob | RefitJob, step: Job | Begin | Finish) -> Done | Packed:
    """A child, where the step is the whole job or its last one."""
    start = time.perf_counter()
    if isinstance(step, Finish):
        begun, facts, spent = step.begun.values()
        if not isinstance(step.made, tuple):
            cure = "Check the rows for extreme values, and rescale such columns."
            raise GateError("the weights can't be solved", where="server", cure=cure)
        return _done(job, finish(begun, step.made), facts, spent + step.seconds + time.perf_counter() - start)
    if isinstance(job, RowsJob):
        made, facts = _rows(job)
    elif isinstance(job, ProfileJob):
        made, facts = _profile(job), {}
    else:
        made, facts = _refit(job)
    if isinstance(step, Begin) and isinstance(made, Begun):
        return Packed.of(made, facts, time.perf_counter() - start)
    child = finish(made, solve(made)) if isinstance(made, Begun) else made
    return _done(job, child, facts, time.perf_counter() - start)


def _done(job: RowsJob | ProfileJob | RefitJob, child: Child, facts: dict[str, Any], seconds: float) -> Done:
    """A child, ready to be sent out; GateError where it mustn't be."""
    if isinstance(job, RefitJob):
        require_same_shape(_template(job.template).child, child)
    _require_finite(child)
    content = bytes(save(child_tensors(child))) if isinstance(job, ProfileJob) else child_bytes(child)
    told = {"units": child.units.count, "parameters": child.parameters}
    return Done(content, {**told, **facts, "seconds": round(seconds, 4)})


def _require_finite(child: Child) -> None:
    """GateError where a weight is none: such a child must never be sent out."""
    tensors = child_tensors(child) | encoder_tensors(child.encoder)
    wrong = [name for name, array in tensors.items() if array.dtype.kind == "f" and not np.isfinite(array).all()]
    if wrong:
        cure = "Check the rows for extreme values, and rescale such columns."
        raise GateError("the weights hold NaN or infinity and are not sent out", where="server", seen=wrong[0], cure=cure)


def _ladder(units: int | None, draws: int) -> Sequence[int]:
    """Hidden units to try."""
    if draws not in (1, 2, 4):
        raise InputError("this many draws can't be distilled", where="draws", seen=draws, cure="Give 1, 2 or 4.")
    most = draws * DRAW.total
    if units is None:
        return [size for size in reversed(SIZES) if 0 < size <= most]
    if not 0 <= units <= most or units % 20:
        cure = f"Give a multiple of 20 from 0 to {most}, or leave it out for the fewest that say the same."
        raise InputError("a model can't have so many hidden units", where="units", seen=units, cure=cure)
    return [units]


def _rows(job: RowsJob) -> tuple[Child | Begun, dict[str, Any]]:
    units = _ladder(job.units, job.draws)
    if not job.task.strip():
        raise InputError("the task is empty", where="task", cure="Say what to predict, such as 'predict churn'.")
    source = open_source(job.data)
    facts = profile(source, job.seed)
    try:
        requirement = write_requirement(Request(job.task, job.data, job.label, job.kind), facts)
    except InputError as error:
        if find_texts((), job.label, job.task, facts) is None:
            raise
        raise InputError("these rows are texts", where="modality", seen="table", cure="Say modality=text.") from error
    table = open_table(source, facts, requirement.schema)
    told = {"label": requirement.schema.label.name, "kind": requirement.schema.kind, "rows": table.rows}
    told["notes"] = _in_header((*facts.notes, *requirement.notes, *table.notes))
    if job.score:
        generated = generate(table, units, job.draws, job.seed, workers=1, generator=None if any(units) else "linear")
        return generated.child, {**told, "generator": generated.generator, "score": asdict(generated.scores.child)}
    return begin_child(table, units, job.draws, job.seed, "floor" if any(units) else "linear"), told


def _in_header(notes: Sequence[str]) -> list[str]:
    """The first notes, as many as a header holds as JSON."""
    kept: list[str] = []
    for note in notes:
        if len(json.dumps([*kept, note])) > MOST_NOTED:
            break
        kept.append(note)
    return kept


def _profile(job: ProfileJob) -> Begun:
    units = _ladder(job.units, job.draws)
    try:
        tensors = load_file(job.data)
    except (SafetensorError, ValueError, OSError) as error:
        cure = "Write it with safetensors.numpy.save_file, and send it whole."
        raise InputError("this is no safetensors file", where=job.data.name, seen=str(error), cure=cure) from error
    for name in ("encoded", "targets"):
        if name not in tensors:
            cure = "Give `encoded` (N, D) and `targets` (N, K), both float32."
            raise InputError("the profile lacks a tensor", where=job.data.name, seen=name, cure=cure)
    encoded: Floats = tensors["encoded"]
    owners = tensors.get("owners", np.arange(encoded.shape[-1] if encoded.ndim == 2 else 0)).ravel().tolist()
    return begin_encoded(encoded, tensors["targets"], owners, units, job.draws, job.seed)


@dataclass(frozen=True)
class _Template:
    """What a package says of the weights that are to be made for it."""

    manifest: Manifest
    child: Child
    architecture: Architecture
    generator: str
    blend: Blend


@lru_cache(maxsize=4)
def _template(folder: Path) -> _Template:
    """A package's template, which may come from anywhere; PackageError where it can't be used."""
    file, cure = folder / MANIFEST, "Send a package that `build` wrote."
    if file.is_file() and file.stat().st_size > MOST_MANIFEST:
        raise PackageError("the manifest is too long", where=MANIFEST, seen=f"{file.stat().st_size:,} bytes", cure=cure)
    package = open_package(folder)
    manifest, child = package.manifest, read_child(package.child)
    figures, generator = manifest.architecture, manifest.generator
    try:
        architecture = Architecture(*(figures[field.name] for field in fields(Architecture)))
        for name, number in (("units", architecture.units), ("draws", architecture.draws), ("seed", manifest.seed)):
            if not isinstance(number, int) or number < 0:
                raise ValueError(f"{name}: {number}")
        if architecture.units or architecture.draws:
            _ladder(architecture.units, architecture.draws)
        if generator["name"] not in GENERATORS:
            raise ValueError(f"generator: {generator['name']}")
        blend = Blend(*(float(generator["blend"][field.name]) for field in fields(Blend)))
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise PackageError("the manifest can't be used", where=MANIFEST, seen=str(error), cure=cure) from error
    return _Template(manifest, child, architecture, generator["name"], blend)


def _refit(job: RefitJob) -> tuple[Child | Begun, dict[str, Any]]:
    template = _template(job.template)
    manifest, old, architecture = template.manifest, template.child, template.architecture
    table, notes = read_table(manifest, job.data)
    seed = manifest.seed if job.seed is None else job.seed
    facts: dict[str, Any] = {"rows": table.rows, "notes": list(notes)}
    if job.score:
        generated = regenerate(manifest, old, table, seed)
        return generated.child, {**facts, "score": asdict(generated.scores.child)}
    units, draws = (architecture.units,), architecture.draws
    return begin_child(table, units, draws, seed, template.generator, template.blend, old.encoder), facts


def _build(job: BuildJob, tell: Tell) -> Done:
    from modelgpt_edge.looking import about_pictures
    from modelgpt_edge.pipeline import build

    asked = Request(job.task, job.data, classes=dict(job.classes), texts=job.texts, modality=job.modality)
    if about_pictures(asked, follow=False):
        raise no_pictures("task" if job.data is None else "data", job.task if job.data is None else job.data.name)
    built = build(
        job.task,
        job.data,
        label=job.label,
        kind=job.kind,
        classes=dict(job.classes),
        text=job.texts,
        # Said in any case: where it isn't, files that an upload names are looked for. Rows or texts, the data still tells.
        modality=job.modality or "table",
        target=job.targets,
        backend=job.backends,
        out=job.out,
        test=job.test,
        seed=job.seed,
        draws=job.draws,
        generator=job.generator,
        finetune=job.finetune,
        limits=job.limits,
        progress=tell,
    )
    return Done(b"", built.report)


def warm() -> None:
    """Do everything once on a little table, so that the first request pays for no import and no first call."""
    with suppress(ImportError):  # Parquet is then refused where it comes
        import pyarrow.parquet

        pyarrow.array([0])
    rng = np.random.default_rng(0)
    encoded = rng.normal(size=(32, 4)).astype(np.float32)
    targets = np.eye(2, dtype=np.float32)[(encoded[:, 0] > 0).astype(int)]
    emit_encoded(encoded, targets, range(4), (20,), 1, 0)
