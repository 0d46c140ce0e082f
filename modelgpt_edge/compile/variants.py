"""Derive the compiled forms of each target by its backends, run each the nearest way to the device, and measure it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from modelgpt_edge.child import Ints
from modelgpt_edge.compile.candidate import Candidate, Probe
from modelgpt_edge.compile.selection import keep_best
from modelgpt_edge.compile.source import Compilable
from modelgpt_edge.errors import PackageError, TargetUnavailableError
from modelgpt_edge.gate import compare, tolerance_of
from modelgpt_edge.golden import Golden
from modelgpt_edge.targets.backend import Artefact, Backend
from modelgpt_edge.targets.backends import BACKENDS, MADE_OF, backends_of
from modelgpt_edge.targets.running import Opened, open_nearest
from modelgpt_edge.targets.target import BUILT_NOT_RUN, RUNS_EMULATED, Target


def compile_target(
    target: Target,
    source: Compilable,
    probe: Probe,
    golden: Golden,
    wanted: Sequence[str] = (),
    flash_bytes: int | None = None,
) -> tuple[list[Candidate], tuple[str, ...]]:
    """Candidates of a target, the best of each backend kept, and notes on backends that could not be used.

    Args:
        wanted: backends asked for by name; empty for those that a build uses unasked.
        flash_bytes: what the device has for it; a form whose compiler found it larger isn't run, for none of it will be kept.
            Not even fp32, whose numbers are held against the reference in the package's own graph.

    Raises:
        TargetUnavailableError: a backend asked for, or every one that there is, has no toolchain here.
    """
    candidates: list[Candidate] = []
    missing: dict[str, TargetUnavailableError] = {}
    names = backends_of(target, wanted)
    fit = [n for n in names if source.front in BACKENDS[n].fronts and source.precisions(target, BACKENDS[n])]
    able = names if wanted else (fit or names)
    for name in able:
        backend = BACKENDS[name]
        try:
            _require_front(target, backend, source)
            forms, too_large = [], []
            for precision in source.precisions(target, backend):
                artefact = backend.compile(source, target, precision)
                if flash_bytes is not None and artefact.facts.get("flash_bytes", 0) > flash_bytes:
                    too_large.append(replace(_unrun(target, backend, precision, artefact, ""), kept=False))
                else:
                    forms.append(measure(target, backend, precision, artefact, source, probe, golden))
        except TargetUnavailableError as error:
            # Asked for by name, or what makes a GPU a target at all: something else instead would not be what was meant.
            if wanted or (target.sm is not None and name == target.backends[0]):
                raise
            missing[name] = error
            continue
        candidates += [*(keep_best(forms, target.fetched) if forms else ()), *too_large]
    if not candidates:
        raise next(iter(missing.values()))
    notes = [f"there is no {target.name} variant by {name}: {error}" for name, error in missing.items()]
    if target.sm is not None and names[0] not in able:
        notes.append(f"{target.name} runs it on its processor: {names[0]} doesn't take such models of {MADE_OF[source.front]}.")
    proxies = [(c, c.facts["proxy"]) for c in candidates if "proxy" in c.facts]
    notes += [_proxy_note(c, p) for c, p in proxies if c.kept]
    unseen = {c.note for c in candidates if c.kept and c.checked != target.checked and c.note}
    notes += [f"{target.name} was built and not run: {why}" for why in sorted(unseen)]
    return candidates, tuple(notes)


def _require_front(target: Target, backend: Backend, source: Compilable) -> None:
    """TargetUnavailableError where a backend doesn't compile such a source."""
    if source.front not in backend.fronts or not source.precisions(target, backend):
        able = sorted(name for name, other in BACKENDS.items() if source.front in other.fronts)
        cure = f"Build for a target that has {' or '.join(able)}, such as x86 or raspberry-pi-5."
        what = f"such models of {MADE_OF[source.front]} aren't compiled by it"
        raise TargetUnavailableError(what, where=backend.name, cure=cure)


def _proxy_note(candidate: Candidate, proxy: Mapping[str, Any]) -> str:
    name = f"{candidate.target} {candidate.precision}"
    if proxy["passed"]:
        return f"{name}: {proxy['validator']}, parsed it and built it for {' and '.join(proxy['built_for'])}"
    return f"{name}: {proxy['validator']}, refuses it: {proxy['trouble']}"


def measure(
    target: Target,
    backend: Backend,
    precision: str,
    artefact: Artefact,
    source: Compilable,
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
            probe = probe.first(source.emulated_rows)
        elif precision == "fp32" and source.plain_rows is not None:
            probe = probe.first(source.plain_rows)
        at, outputs = _run(opened, source, probe, golden)
        profile: Mapping[str, Any] = {}
        if opened.checked != BUILT_NOT_RUN:
            try:
                profile = backend.profile(files, target, probe.numbers, probe.codes)
            except TargetUnavailableError:
                profile = {}  # an emulator's clock tells nothing
    accuracy, whole = probe.accuracy(outputs), probe.accuracy(probe.outputs)
    hop = compare(
        f"{target.name} {backend.name} {precision}", golden.outputs, at, tolerance_of(precision, artefact.front), golden.unit
    )
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
        loss=None if accuracy is None or whole is None else whole - accuracy,
        agreement=probe.agreement(outputs),
        hop=hop,
    )


def _run(opened: Opened, source: Compilable, probe: Probe, golden: Golden) -> tuple[Any, Any]:
    """Outputs on the golden rows and on the probe's, in one call: an emulator is slow to start."""
    numbers = np.concatenate([golden.numbers, probe.numbers])
    outputs = opened.executor.run(numbers, stacked(source.inputs(golden), probe.codes))
    width = golden.outputs.shape[1]
    at, rest = np.split(outputs.reshape(-1, width), [len(golden.outputs)])
    return at, rest


def stacked(first: Ints, second: Ints) -> Ints:
    """Codes (N, S) of one and another, the narrower ones filled with -1: texts differ in length. Pictures don't."""
    if first.ndim > 2:
        return np.concatenate([first, second])
    width = max(first.shape[1], second.shape[1])
    return np.concatenate([np.pad(c, ((0, 0), (0, width - c.shape[1])), constant_values=-1) for c in (first, second)])


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
