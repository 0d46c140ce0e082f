"""What a worker process does with a job. Nothing of HTTP comes in here; what goes wrong is a `Refused`, never an exception.

Running out of memory alone is raised: whoever launched the job may try it again by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from modelgpt_edge.architecture.architecture import SIZES
from modelgpt_edge.child import Child, Floats
from modelgpt_edge.child_file import CHILD, child_bytes, child_tensors, read_child
from modelgpt_edge.data.profile import profile
from modelgpt_edge.data.sources import open_source
from modelgpt_edge.data.table import open_table
from modelgpt_edge.encoder_file import encoder_tensors
from modelgpt_edge.errors import GateError, InputError, ModelgptEdgeError
from modelgpt_edge.manifest import Manifest
from modelgpt_edge.parameters.blend import Blend
from modelgpt_edge.parameters.generate import generate
from modelgpt_edge.parameters.quick import emit_child, emit_encoded
from modelgpt_edge.parameters.units import DRAW
from modelgpt_edge.refit import read_table, regenerate, require_same_shape
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.rules import write_requirement
from modelgpt_edge.runtime.opening import open_package
from modelgpt_edge.server.errors import error_json, status_of
from modelgpt_edge.server.jobs import BuildJob, Done, Job, ProfileJob, RefitJob, Refused, Result, RowsJob

Tell = Callable[[str, float], None]


def do(job: Job, tell: Tell = lambda stage, share: None) -> Result:
    """Do a job.

    Raises:
        MemoryError: this machine has too little for it, or for all that runs at once.
    """
    hidden = {str(path): path.name for path in vars(job).values() if isinstance(path, Path)}
    try:
        return _do(job, tell)
    except ModelgptEdgeError as error:
        return Refused(status_of(error), error_json(error, hidden))
    except MemoryError:
        raise
    except np.linalg.LinAlgError as error:
        return _failed(f"the weights can't be solved: {error}", "Check the rows for extreme values.", hidden)
    except Exception as error:  # the last resort: one request's fault must not take the worker with it
        return _failed(f"an internal error: {type(error).__name__}: {error}", "Report it, with the request.", hidden)


def _failed(what: str, cure: str, hidden: dict[str, str]) -> Refused:
    return Refused(500, error_json(InputError(what, where="server", cure=cure), hidden))


def _do(job: Job, tell: Tell) -> Result:
    if isinstance(job, BuildJob):
        return _build(job, tell)
    start = time.perf_counter()
    if isinstance(job, RowsJob):
        child, facts = _rows(job)
    elif isinstance(job, ProfileJob):
        child, facts = _profile(job), {}
    else:
        child, facts = _refit(job)
    _require_finite(child)
    content = bytes(save(child_tensors(child))) if isinstance(job, ProfileJob) else child_bytes(child)
    told = {"units": child.units.count, "parameters": child.parameters}
    return Done(content, {**told, **facts, "seconds": round(time.perf_counter() - start, 4)})


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


def _rows(job: RowsJob) -> tuple[Child, dict[str, Any]]:
    units = _ladder(job.units, job.draws)
    if not job.task.strip():
        raise InputError("the task is empty", where="task", cure="Say what to predict, such as 'predict churn'.")
    source = open_source(job.data)
    facts = profile(source, job.seed)
    requirement = write_requirement(Request(job.task, job.data, job.label, job.kind), facts)
    table = open_table(source, facts, requirement.schema)
    told = {"label": requirement.schema.label.name, "kind": requirement.schema.kind, "rows": table.rows}
    if job.score:
        generated = generate(table, units, job.draws, job.seed, workers=1, generator=None if any(units) else "linear")
        return generated.child, {**told, "generator": generated.generator, "score": asdict(generated.scores.child)}
    return emit_child(table, units, job.draws, job.seed, "floor" if any(units) else "linear"), told


def _profile(job: ProfileJob) -> Child:
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
    return emit_encoded(encoded, tensors["targets"], owners, units, job.draws, job.seed)


@lru_cache(maxsize=4)
def _template(folder: Path) -> tuple[Manifest, Child]:
    package = open_package(folder)
    return package.manifest, read_child(package.file(CHILD))


def _refit(job: RefitJob) -> tuple[Child, dict[str, Any]]:
    manifest, old = _template(job.template)
    table, notes = read_table(manifest, job.data)
    seed = manifest.seed if job.seed is None else job.seed
    facts: dict[str, Any] = {"rows": table.rows, "notes": list(notes)}
    if job.score:
        generated = regenerate(manifest, old, table, seed)
        return generated.child, {**facts, "score": asdict(generated.scores.child)}
    figures, name = manifest.architecture, str(manifest.generator["name"])
    blend = Blend(**manifest.generator["blend"])
    child = emit_child(table, (figures["units"],), figures["draws"], seed, name, blend, old.encoder)
    require_same_shape(old, child)
    return child, facts


def _build(job: BuildJob, tell: Tell) -> Done:
    from modelgpt_edge.pipeline import build

    built = build(
        job.task,
        job.data,
        label=job.label,
        kind=job.kind,
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
    rng = np.random.default_rng(0)
    encoded = rng.normal(size=(32, 4)).astype(np.float32)
    targets = np.eye(2, dtype=np.float32)[(encoded[:, 0] > 0).astype(int)]
    emit_encoded(encoded, targets, range(4), (20,), 1, 0)
