"""Finalize a package on its board: build the engine of each TensorRT variant, hold it against the golden rows, keep it.

The one place that builds on a device, and only when asked. Nothing is stored before the golden rows agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modelgpt_edge.errors import GateError, InputError, PackageError, TargetUnavailableError, nearest
from modelgpt_edge.gate import Hop, compare, require, tolerance_of
from modelgpt_edge.golden import Golden
from modelgpt_edge.manifest import GOLDEN, Variant
from modelgpt_edge.runtime.opening import Package, open_package
from modelgpt_edge.runtime.packed_rows import PackedRows, golden_inputs
from modelgpt_edge.targets.backend import Executor
from modelgpt_edge.targets.board import is_board
from modelgpt_edge.targets.tensorrt.backend import MODEL
from modelgpt_edge.targets.tensorrt.board import Board, read_board
from modelgpt_edge.targets.tensorrt.building import Plan, Progress, build_engine
from modelgpt_edge.targets.tensorrt.cuda import Cuda, open_cuda
from modelgpt_edge.targets.tensorrt.engine import Found, Key, Record, engine_folder, read_engine
from modelgpt_edge.targets.tensorrt.executor import EngineCore, executor_for
from modelgpt_edge.targets.tensorrt.library import import_library
from modelgpt_edge.targets.tensorrt.recipe import RECIPE, Recipe
from modelgpt_edge.targets.tensorrt.refit import refit_engine
from modelgpt_edge.targets.tensorrt.store import store_engine
from modelgpt_edge.targets.timing import latency

BUILT, REFITTED, KEPT = "built", "refitted", "kept"


@dataclass(frozen=True)
class Finalized:
    """An engine that stands in the package, checked on this board.

    Attributes:
        variant: name of its variant.
        how: ``built``; ``refitted``, an older engine given new weights; or ``kept``, as it matched already.
        seconds: that it took.
        record: for what it was built.
        hop: the golden rows, run by the engine on this board.
        latency: quantiles of one row's time, encoding and copies included, in microseconds.
        note: what the user should know of the way it went; "" for nothing.
    """

    variant: str
    how: str
    seconds: float
    record: Record
    hop: Hop
    latency: Mapping[str, float]
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "record": self.record.to_json(), "hop": self.hop.to_json()}


@dataclass(frozen=True)
class _Bench:
    """What the work on every variant shares."""

    package: Package
    golden: Golden
    inputs: PackedRows
    trt: Any
    cuda: Cuda
    board: Board
    progress: Progress


@dataclass(frozen=True)
class _Job:
    """A variant, and what its engine must be built from and for."""

    variant: Variant
    recipe: Recipe
    onnx: bytes
    key: Key
    folder: Path
    workspace_bytes: int


def finalize_package(
    path: str | Path,
    variant: str | None = None,
    workspace_bytes: int | None = None,
    force: bool = False,
    progress: Callable[[str, float], None] = lambda stage, share: None,
) -> tuple[Board, list[Finalized]]:
    """Build, check and store the engines of a package's variants that are for this board.

    Args:
        variant: the only one to finalize, by name; every one for this board without it.
        workspace_bytes: most scratch memory of a layer; the recipe's without it.
        force: build anew though an engine that matches is there.
        progress: told the stage and the share done of it.

    Raises:
        PackageError: the package is damaged, or has no such variant.
        TargetUnavailableError: TensorRT or the GPU isn't here, or no variant is for this board.
        GateError: an engine doesn't reproduce the golden rows; it isn't stored.
        InputError: the workspace can't be had, or the package can't be written.
    """
    package = open_package(path)
    candidates = _named(package, variant)
    trt, cuda = import_library(), open_cuda()
    golden = Golden.read(package.file(GOLDEN))
    bench = _Bench(package, golden, golden_inputs(package), trt, cuda, read_board(cuda), progress)
    if workspace_bytes is not None and not 0 < workspace_bytes <= bench.board.memory_bytes:
        cure = f"Give more than 0 and at most the board's {bench.board.memory_bytes >> 20:,} MB."
        seen = f"{workspace_bytes >> 20:,} MB"
        raise InputError("no engine can have this much scratch memory", where="--workspace", seen=seen, cure=cure)
    chosen = _for_board(bench, candidates)
    return bench.board, [_finalize(bench, _job(bench, v, workspace_bytes), workspace_bytes, force) for v in chosen]


def _named(package: Package, name: str | None) -> list[Variant]:
    """The TensorRT variants, or the one asked for."""
    known = {v.name: v for v in package.manifest.variants if v.backend == "tensorrt"}
    if not known:
        other = package.manifest.requirement.modality != "table"
        cure = "This model needs none: predict with it." if other else "Build it with --target jetson, or another Jetson."
        raise PackageError("the package has no TensorRT variant to finalize", where=str(package.path), cure=cure)
    if name is None:
        return list(known.values())
    if name not in known:
        what = "the package has no such TensorRT variant"
        raise PackageError(what, where=str(package.path), seen=name, cure=nearest(name, known))
    return [known[name]]


def _for_board(bench: _Bench, candidates: list[Variant]) -> list[Variant]:
    """Variants of this GPU's architecture; those of this very model alone where there are some."""
    recipes = {v: Recipe.read(bench.package.file(f"{v.path}/{RECIPE}")) for v in candidates}
    fitting = [v for v, recipe in recipes.items() if recipe.sm in (bench.board.sm, None)]
    if not fitting:
        raise TargetUnavailableError(
            f"no variant is for this board, {bench.board.model} ({bench.board.sm})",
            where=str(bench.package.path),
            seen=", ".join(f"{v.name} ({recipe.sm})" for v, recipe in recipes.items()),
            cure="Run this on the board that the package was built for, or build with --target for this one.",
        )
    exact = [v for v in fitting if recipes[v].board and is_board(recipes[v].board, bench.board.model)]
    return exact or fitting


def _job(bench: _Bench, variant: Variant, workspace_bytes: int | None) -> _Job:
    model, recipe = (bench.package.file(f"{variant.path}/{name}") for name in (MODEL, RECIPE))
    folder = engine_folder(model.parent)
    if folder is None:
        what = "the engines' folder leads outside the package"
        raise PackageError(what, where=str(bench.package.path), cure="Remove the folder engines from it.")
    told, onnx = Recipe.read(recipe), model.read_bytes()
    key = Key.of(onnx, str(bench.trt.__version__), bench.board, told)
    return _Job(variant, told, onnx, key, folder, workspace_bytes or told.workspace_bytes)


def _finalize(bench: _Bench, job: _Job, wanted_workspace: int | None, force: bool) -> Finalized:
    started = time.perf_counter()
    found = Found(None, b"") if force else read_engine(job.folder)
    if found.record is not None and wanted_workspace not in (None, found.record.workspace_bytes):
        found = Found(None, b"")
    plan, how = _plan(bench, job, found)
    executor, hop = _check(bench, job, plan)
    if how == REFITTED and not hop.passed:
        why = f"built anew, as refitting the older engine left the tolerance: {hop.failure}"
        plan, how = _build(bench, job, why), BUILT
        executor, hop = _check(bench, job, plan)
    _require(hop)
    times = latency(executor, bench.inputs.numbers, bench.inputs.codes)
    record = found.record if how == KEPT and found.record else Record.of(job.key, plan.content, job.workspace_bytes)
    done = Finalized(job.variant.name, how, round(time.perf_counter() - started, 3), record, hop, times, plan.note)
    if how != KEPT:
        evidence = {**done.to_json(), "board": asdict(bench.board)}
        store_engine(bench.package.path, job.folder, plan.content, record, evidence)
    return done


def _plan(bench: _Bench, job: _Job, found: Found) -> tuple[Plan, str]:
    """A plan, and how it came about: the engine that is there, that one with new weights, or a new one."""
    differences = found.differences(job.key)
    if not differences:
        return Plan(found.plan), KEPT
    why = ""
    if set(differences) == {"onnx_sha256"}:
        try:
            return Plan(refit_engine(bench.trt, found.plan, job.onnx, bench.cuda)), REFITTED
        except TargetUnavailableError as error:
            why = f"built anew, as the older engine can't be refitted: {error.what}"
    return _build(bench, job, why), BUILT


def _build(bench: _Bench, job: _Job, why: str) -> Plan:
    """A new engine; its note begins with why it was built, where that is worth telling."""
    stage = f"building {job.variant.name}"
    bench.progress(stage, 0.0)
    plan = build_engine(bench.trt, job.onnx, job.recipe, bench.board.sm, job.workspace_bytes, stage, bench.progress)
    return Plan(plan.content, "; ".join(text for text in (why, plan.note) if text))


def _check(bench: _Bench, job: _Job, plan: Plan) -> tuple[Executor, Hop]:
    """The engine opened on this board, and its outputs on the golden rows against the reference's."""
    bench.progress(f"checking {job.variant.name}", 0.0)
    variant, golden, core = job.variant, bench.golden, EngineCore(bench.trt, plan.content, bench.cuda)
    executor = executor_for(job.recipe.feed.name, core, lambda name: bench.package.file(f"{variant.path}/{name}"))
    got = executor.run(bench.inputs.numbers, bench.inputs.codes)
    name = f"{variant.target} {variant.backend} {variant.precision} engine"
    return executor, compare(name, golden.outputs, got, tolerance_of(variant.precision, variant.front), golden.unit)


def _require(hop: Hop) -> None:
    """GateError that names the hop, with the cure of this command."""
    try:
        require([hop])
    except GateError as error:
        cure = "No engine was stored. Try --force; if it fails again, report the board, TensorRT's version and this message."
        raise GateError(error.what, where=error.where, cure=cure) from error
