"""The compiler's one entry: a child in, gated artefacts out, nothing written yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Child, Floats
from modelgpt_edge.compile.candidate import Candidate, Probe
from modelgpt_edge.compile.golden import golden_codes, golden_rows
from modelgpt_edge.compile.graph import raw_graph
from modelgpt_edge.compile.selection import within
from modelgpt_edge.compile.source import ChildSource, Compilable, calibrate
from modelgpt_edge.compile.variants import compile_target, measure
from modelgpt_edge.data.table import Rows
from modelgpt_edge.errors import BudgetError, GateError
from modelgpt_edge.gate import Hop, compare, require
from modelgpt_edge.golden import Golden
from modelgpt_edge.limits import NO_LIMITS, Limits
from modelgpt_edge.targets.backend import Files
from modelgpt_edge.targets.backends import BACKENDS
from modelgpt_edge.targets.onnxruntime import open_session
from modelgpt_edge.targets.target import Target


@dataclass(frozen=True)
class Compiled:
    """What the compiler made of a child.

    Attributes:
        truth: the ONNX model from raw columns, as bytes.
        candidates: every compiled form that was measured, kept or not.
        hops: the numeric gate's evidence, in order.
        notes: what the user should know of the compilation.
    """

    truth: bytes
    golden: Golden
    candidates: tuple[Candidate, ...]
    hops: tuple[Hop, ...]
    notes: tuple[str, ...]


def compile_child(
    child: Child,
    unfused: Floats,
    rows: Rows,
    targets: tuple[Target, ...],
    version: str,
    limits: Limits = NO_LIMITS,
    backends: Sequence[str] = (),
    progress: Callable[[str, float], None] = lambda stage, share: None,
) -> Compiled:
    """Compile a child for targets and pass every kept artefact through the gate.

    Args:
        unfused: outputs (M, K) on the first M rows before the draws were merged into the child.
        rows: typed rows of the table, for golden rows, calibration and measurement.
        limits: of the task; a target's own are tighter where they are.
        backends: those asked for by name; empty for each target's usual ones.

    Raises:
        GateError: names the first hop that left its tolerance.
        BudgetError: no variant of a target fits the limits.
        TargetUnavailableError: a target's toolchain isn't here.
    """
    return compile_examined(_examine(child, unfused, rows, version), targets, limits, backends, progress)


def compile_examined(
    ready: Examined,
    targets: tuple[Target, ...],
    limits: Limits,
    backends: Sequence[str],
    progress: Callable[[str, float], None],
) -> Compiled:
    """The same for a source of any kind whose first hops are behind it; raises as `compile_child`."""
    candidates: list[Candidate] = []
    notes: list[str] = []
    for done, target in enumerate(targets):
        progress("compiling", done / len(targets))
        budget = limits.within(target.flash_bytes, target.ram_bytes)
        found, missing = compile_target(target, ready.source, ready.probe, ready.golden, backends, budget.flash_bytes)
        fitting = within(found, budget.flash_bytes, budget.ram_bytes, budget.latency_ms)
        _require_accelerator(target, fitting)
        candidates += fitting
        notes += missing
    return ready.finish(candidates, tuple(notes))


def refit_child(child: Child, unfused: Floats, rows: Rows, variants: Sequence[Fitted], version: str) -> Compiled:
    """Put a child's weights into variants compiled for another one of the same shapes, and pass them through the gate.

    Args:
        unfused, rows: as for `compile_child`.

    Raises:
        GateError: names the first hop that left its tolerance.
        TargetUnavailableError: a variant can't be refitted without a toolchain that isn't here.
    """
    ready = _examine(child, unfused, rows, version)
    candidates = []
    for variant in variants:
        backend = BACKENDS[variant.backend]
        artefact = backend.refit(variant.files, ready.source, variant.target, variant.precision)
        if variant.flash_bytes is not None:  # measured by a compiler that a refit doesn't call; the shapes are the same
            artefact = replace(artefact, facts={"flash_bytes": variant.flash_bytes, **artefact.facts})
        candidates.append(
            measure(variant.target, backend, variant.precision, artefact, ready.source, ready.probe, ready.golden)
        )
    return ready.finish(candidates, ())


def _require_accelerator(target: Target, candidates: list[Candidate]) -> None:
    """BudgetError where no form for a target's GPU fits: one for its processor alone is not what was asked for."""
    wanted = [c for c in candidates if c.backend == target.backends[0]]
    if target.sm is not None and wanted and not any(c.kept for c in wanted):
        smallest = min(wanted, key=lambda c: c.bytes)
        raise BudgetError(
            f"no {smallest.backend} variant for {target.name} fits the budget",
            where="budget",
            seen=smallest.because,
            cure=f"The smallest, {smallest.precision}, takes {smallest.bytes:,} bytes: raise the limit.",
            reason=f"{smallest.backend} {smallest.precision} is {smallest.because}",
        )


@dataclass(frozen=True)
class Fitted:
    """A compiled variant whose weights are to be replaced.

    Attributes:
        flash_bytes: what it takes on the device where that isn't the size of its files; None where it is.
    """

    target: Target
    backend: str
    precision: str
    files: Files
    flash_bytes: int | None


@dataclass(frozen=True)
class Examined:
    """A source that passed the first hops, and what its compiled forms are measured with."""

    source: Compilable
    probe: Probe
    golden: Golden
    truth: bytes
    hops: list[Hop]

    def finish(self, candidates: list[Candidate], notes: tuple[str, ...]) -> Compiled:
        """What was made, once every kept form has passed the gate."""
        hops = [*self.hops, *(c.hop for c in candidates if c.kept and c.hop is not None)]
        require(hops)
        return Compiled(self.truth, self.golden, tuple(candidates), tuple(hops), notes)


def _examine(child: Child, unfused: Floats, rows: Rows, version: str) -> Examined:
    """The hops before any target: emitted numbers, merged draws, the ONNX model."""
    _check_emitted(child)
    probe = Probe.of(child, rows)
    golden = golden_rows(child, rows)
    fused = compare("fuse", unfused, probe.outputs[: len(unfused)], "fp32", golden.unit)
    require([fused])
    truth = raw_graph(child, version).SerializeToString()
    hops = [fused, _run_truth(truth, child, golden)]
    require(hops)
    # Golden rows go to the clip: ranges of the table's rows alone would let int8 fail on a row beyond them, and gain little.
    hard = child.encoder.encode(golden.numbers, golden_codes(child.encoder, golden.words))
    source = ChildSource(child, version, calibrate(child, np.concatenate([probe.encoded, hard])))
    return Examined(source, probe, golden, truth, hops)


def _check_emitted(child: Child) -> None:
    """GateError where an emitted number is NaN or infinite."""
    for owner in (child.encoder, child.units, child):
        for field in fields(owner):
            array = getattr(owner, field.name)
            if isinstance(array, np.ndarray) and not np.isfinite(array).all():
                name = f"{type(owner).__name__.lower()} {field.name}"
                what = f"the numeric gate failed at hop 'emit': {name} holds NaN or infinite values"
                raise GateError(what, where="gate", cure="Please report the table's shape and this message.")


def _run_truth(truth: bytes, child: Child, golden: Golden) -> Hop:
    """The raw graph, its encoding and strings included, against the numpy reference."""
    feed: dict[str, NDArray[Any]] = {n: golden.numbers[:, i : i + 1] for i, n in enumerate(child.encoder.numbers)}
    feed |= {n: golden.words[:, i : i + 1] for i, n in enumerate(child.encoder.words)}
    got = open_session(truth).run(None, feed)[-1]
    return compare("onnx", golden.outputs, got.reshape(golden.outputs.shape), "fp32", golden.unit)
