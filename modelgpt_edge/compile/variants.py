"""Derive the compiled forms of each target by its backends, run each the nearest way to the device, and measure it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelgpt_edge.child import Child
from modelgpt_edge.compile.candidate import Candidate, Probe, agreement
from modelgpt_edge.compile.golden import golden_codes
from modelgpt_edge.compile.selection import keep_best
from modelgpt_edge.compile.source import ChildSource
from modelgpt_edge.errors import PackageError, TargetUnavailableError
from modelgpt_edge.gate import compare
from modelgpt_edge.golden import Golden
from modelgpt_edge.targets.backend import Artefact, Backend
from modelgpt_edge.targets.backends import BACKENDS, backends_of
from modelgpt_edge.targets.running import Opened, open_nearest
from modelgpt_edge.targets.target import BUILT_NOT_RUN, RUNS_EMULATED, Target

EMULATED_ROWS = 256


def compile_target(
    target: Target, source: ChildSource, probe: Probe, golden: Golden, wanted: Sequence[str] = ()
) -> tuple[list[Candidate], tuple[str, ...]]:
    """Candidates of a target, the best of each backend kept, and notes on backends that could not be used.

    Args:
        wanted: backends asked for by name; empty for those that a build uses unasked.

    Raises:
        TargetUnavailableError: a backend asked for, or every one that there is, has no toolchain here.
    """
    candidates: list[Candidate] = []
    missing: dict[str, TargetUnavailableError] = {}
    for name in backends_of(target, wanted):
        backend = BACKENDS[name]
        try:
            forms = [
                measure(target, backend, p, backend.compile(source, target, p), source, probe, golden)
                for p in precisions_of(target, backend, source.child)
            ]
        except TargetUnavailableError as error:
            # Asked for by name, or what makes a GPU a target at all: something else instead would not be what was meant.
            if wanted or (target.sm is not None and name == target.backends[0]):
                raise
            missing[name] = error
            continue
        candidates += keep_best(forms)
    if not candidates:
        raise next(iter(missing.values()))
    notes = [f"there is no {target.name} variant by {name}: {error}" for name, error in missing.items()]
    proxies = [(c, c.facts["proxy"]) for c in candidates if "proxy" in c.facts]
    notes += [_proxy_note(c, p) for c, p in proxies if c.kept]
    unseen = {c.note for c in candidates if c.kept and c.checked != target.checked and c.note}
    notes += [f"{target.name} was built and not run: {why}" for why in sorted(unseen)]
    return candidates, tuple(notes)


def _proxy_note(candidate: Candidate, proxy: Mapping[str, Any]) -> str:
    name = f"{candidate.target} {candidate.precision}"
    if proxy["passed"]:
        return f"{name}: {proxy['validator']}, parsed it and built it for {' and '.join(proxy['built_for'])}"
    return f"{name}: {proxy['validator']}, refuses it: {proxy['trouble']}"


def precisions_of(target: Target, backend: Backend, child: Child) -> list[str]:
    """What a backend compiles of a child for a target, the preferred one first."""
    if target.sm is not None and backend.name == "onnxruntime":
        return ["fp32"]  # the processor beside a GPU is only what it falls back to
    wanted = [p for p in target.precisions if p in backend.precisions]
    if backend.name != "c" and not child.units.count:
        # In ONNX the linear skip stays float: without hidden units there is nothing to quantise.
        return [p for p in wanted if not p.startswith("int8")] or ["fp32"]
    return wanted


def measure(
    target: Target,
    backend: Backend,
    precision: str,
    artefact: Artefact,
    source: ChildSource,
    probe: Probe,
    golden: Golden,
) -> Candidate:
    """Run an artefact the nearest way to its device, hold it against the golden rows, and measure it on the probe's."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in artefact.files.items():
            (Path(folder) / name).write_bytes(content)

        def files(name: str) -> Path:
            if name not in artefact.files:
                raise PackageError("the variant has no such file", where=backend.name, seen=name, cure="Build anew.")
            return Path(folder) / name

        try:
            opened = open_nearest(backend.name, files, target)
        except TargetUnavailableError as error:
            return _unrun(target, backend, precision, artefact, str(error))
        if opened.checked == RUNS_EMULATED:
            probe = probe.first(EMULATED_ROWS)
        at, outputs = _run(opened, source, probe, golden)
        profile: Mapping[str, Any] = {}
        if opened.checked != BUILT_NOT_RUN:
            try:
                profile = backend.profile(files, target, probe.numbers, probe.codes)
            except TargetUnavailableError:
                profile = {}  # an emulator's clock tells nothing
    accuracy = probe.accuracy(outputs)
    hop = compare(f"{target.name} {backend.name} {precision}", golden.outputs, at, precision, golden.unit)
    return Candidate(
        target=target.name,
        backend=backend.name,
        precision=precision,
        front=artefact.front,
        checked=opened.checked,
        note=opened.because,
        files=artefact.files,
        facts=artefact.facts,
        profile=profile,
        training_accuracy=accuracy,
        loss=probe.accuracy(probe.outputs) - accuracy,
        agreement=agreement(outputs, probe.outputs),
        hop=hop,
    )


def _run(opened: Opened, source: ChildSource, probe: Probe, golden: Golden) -> tuple[Any, Any]:
    """Outputs on the golden rows and on the probe's, in one call: an emulator is slow to start."""
    codes = golden_codes(source.child.encoder, golden.words)
    numbers = np.concatenate([golden.numbers, probe.numbers])
    outputs = opened.executor.run(numbers, np.concatenate([codes, probe.codes]))
    width = golden.outputs.shape[1]
    at, rest = np.split(outputs.reshape(-1, width), [len(golden.outputs)])
    return at, rest


def _unrun(target: Target, backend: Backend, precision: str, artefact: Artefact, why: str) -> Candidate:
    return Candidate(
        target=target.name,
        backend=backend.name,
        precision=precision,
        front=artefact.front,
        checked=BUILT_NOT_RUN,
        note=why,
        files=artefact.files,
        facts=artefact.facts,
        profile={},
        training_accuracy=None,
        loss=None,
        agreement=None,
        hop=None,
    )
