"""The compiler's one entry: a child in, gated artefacts out, nothing written yet."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Child, Floats
from modelgpt_edge.compile.golden import golden_rows
from modelgpt_edge.compile.graph import raw_graph
from modelgpt_edge.compile.variants import Candidate, Probe, compile_target
from modelgpt_edge.data.table import Rows
from modelgpt_edge.errors import BudgetError, GateError, TargetUnavailableError
from modelgpt_edge.gate import Hop, compare, require
from modelgpt_edge.golden import Golden
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
    library: Future[bytes] | None = None,
    flash_bytes: int | None = None,
) -> Compiled:
    """Compile a child for targets and pass every kept artefact through the gate.

    Args:
        unfused: outputs (M, K) on the first M rows before the draws were merged into the child.
        rows: typed rows of the table, for golden rows, calibration and measurement.
        library: the C template, being compiled; None where there is no native form.
        flash_bytes: what a variant may take on the device; None without a limit.

    Raises:
        GateError: names the first hop that left its tolerance.
        BudgetError: no variant of a target fits the flash limit.
    """
    _check_emitted(child)
    native, notes = _native_library(library)
    probe = Probe.of(child, rows)
    golden = golden_rows(child, rows)
    hops = [compare("fuse", unfused, probe.outputs[: len(unfused)], "fp32", golden.unit)]
    require(hops)
    truth = raw_graph(child, version).SerializeToString()
    hops.append(_run_truth(truth, child, golden))
    candidates = [
        candidate
        for target in targets
        for candidate in _within(
            compile_target(target, child, probe, golden, native, version), _least(flash_bytes, target.flash_bytes)
        )
    ]
    hops += [c.hop for c in candidates if c.kept]
    require(hops)
    return Compiled(truth, golden, tuple(candidates), tuple(hops), notes)


def _least(*limits: int | None) -> int | None:
    """The tightest of the limits given."""
    return min((limit for limit in limits if limit is not None), default=None)


def _native_library(library: Future[bytes] | None) -> tuple[bytes | None, tuple[str, ...]]:
    """The compiled C template; None and a note where the compiler failed, since ONNX Runtime serves as well."""
    try:
        return (None if library is None else library.result()), ()
    except TargetUnavailableError as error:
        return None, (f"there is no native variant: {error}",)


def _within(candidates: list[Candidate], flash_bytes: int | None) -> list[Candidate]:
    """Candidates of a target, those over the flash limit left out; BudgetError where none fits."""
    if flash_bytes is None:
        return candidates
    over = f"over the limit of {flash_bytes:,} bytes"
    checked = [c if c.bytes <= flash_bytes else replace(c, kept=False, because=over) for c in candidates]
    if any(c.kept for c in checked):
        return checked
    fitting = next((c for c in checked if c.bytes <= flash_bytes and c.hop.passed), None)
    if fitting is None:
        smallest = min(candidates, key=lambda c: c.bytes)
        raise BudgetError(
            f"no variant for {smallest.target} fits the flash limit",
            where="budget",
            seen=f"{flash_bytes:,} bytes",
            cure=f"The smallest, {smallest.precision}, takes {smallest.bytes:,} bytes: raise the limit or drop columns.",
        )
    return [replace(c, kept=True, because="the best that fits the flash limit") if c is fitting else c for c in checked]


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
