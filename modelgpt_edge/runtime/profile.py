"""Profile a package where it stands: how long each variant takes, cold, warm and sustained, its memory, and its power.

Every figure is measured in a fresh process of one thread, on this machine. Of other devices' variants only what their
backend can count in an emulator is told, and never a time.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from modelgpt_edge.errors import InputError, ModelgptEdgeError, PackageError, TargetUnavailableError
from modelgpt_edge.evidence_file import PROFILES, add_evidence, read_evidence
from modelgpt_edge.manifest import SEAL, Variant, sealed
from modelgpt_edge.runtime.choosing import MODEL, named_variant
from modelgpt_edge.runtime.executors import variant_parts
from modelgpt_edge.runtime.fresh_process import measure
from modelgpt_edge.runtime.machine import installed_versions, read_machine
from modelgpt_edge.runtime.opening import Package, open_package
from modelgpt_edge.runtime.packed_rows import PackedRows, golden_inputs, read_inputs
from modelgpt_edge.runtime.power_mode import read_settings
from modelgpt_edge.runtime.sensors import ROOT, Reading, Sensors, find_sensors, summary

SECONDS, SHORTEST, LONGEST = 5.0, 0.1, 3600.0
STARTS = 3  # fresh processes for the cold figures
IDLE_READINGS, IDLE_PAUSE = 5, 0.2  # of the sensors, before anything runs
HERE = "on this machine"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Profile:
    """What was measured of one variant.

    Attributes:
        variant: its name, ``model`` for the package's own ONNX model.
        how: where it ran; "" where it didn't.
        figures: JSON values, the unit in each name; empty where it didn't run.
        reason: why there are no figures; exit_code: of that error.
    """

    variant: str
    how: str
    figures: Mapping[str, Any]
    reason: str = ""
    exit_code: int = 0

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"variant": self.variant, "how": self.how or None, "reason": self.reason or None, **self.figures}


@dataclass(frozen=True)
class Report:
    """What `profile_package` found.

    Attributes:
        machine, versions, settings: of this machine, as JSON values; settings as `power_mode.read_settings` reads them.
        rows: where the rows come from; notes: what was odd in them.
        profiles: one for each variant.
        kept: whether the evidence was written into checks.json; unkept: why not, "" where it was or there was none.
    """

    package: str
    date: str
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    settings: Mapping[str, Any]
    rows: str
    notes: tuple[str, ...]
    profiles: tuple[Profile, ...]
    kept: bool
    unkept: str

    @property
    def exit_code(self) -> int:
        """0 where something was measured and nothing is damaged; else the error's."""
        failed = [p for p in self.profiles if p.reason]
        if len(failed) == len(self.profiles):
            return min((p.exit_code for p in failed), default=0)
        return 1 if any(p.exit_code == 1 for p in failed) else 0

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "package": self.package,
            "date": self.date,
            "machine": dict(self.machine),
            "versions": dict(self.versions),
            "settings": dict(self.settings),
            "rows": self.rows,
            "notes": list(self.notes),
            "variants": [p.to_json() for p in self.profiles],
            "evidence": {"kept": self.kept, "reason": self.unkept or None},
        }


@dataclass(frozen=True)
class _Bench:
    """What the measurement of every variant shares."""

    package: Package
    rows: PackedRows
    folder: str
    seconds: float
    sensors: Sensors
    root: Path
    bare: int
    progress: Progress


def profile_package(
    path: str | Path,
    variant: str | None = None,
    rows: str | Path | None = None,
    seconds: float = SECONDS,
    progress: Progress = lambda stage: None,
    root: Path = ROOT,
) -> Report:
    """Measure the variants of a package on this machine, and put the evidence into its checks.json.

    Args:
        variant: the only one to measure, by name, or ``model`` for the package's ONNX model; without it every one.
        rows: a table to take rows from; the golden rows without it.
        seconds: of the sustained run, from 0.1 to 3600.
        progress: told each step as it begins.
        root: what stands for ``/`` where sensors and settings are read.

    Raises:
        PackageError: the package is damaged, or has no such variant.
        InputError: the rows can't be used, or the seconds make no sense.
    """
    if not SHORTEST <= seconds <= LONGEST:
        cure = f"Give {SHORTEST:g} to {LONGEST:,.0f} seconds, such as 10."
        raise InputError("a sustained run can't take this long", where="--seconds", seen=seconds, cure=cure)
    package = open_package(path)
    chosen = list(package.manifest.variants) if variant is None else [named_variant(package, variant)]
    read_evidence(package.path)  # refused now rather than after minutes of measuring
    inputs = golden_inputs(package) if rows is None else read_inputs(package, rows)
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "numbers.npy", inputs.numbers)
        np.save(Path(folder) / "codes.npy", inputs.codes)
        bare = measure("bare", {}, folder)["peak_bytes"]
        bench = _Bench(package, inputs, folder, seconds, find_sensors(root), root, bare, progress)
        profiles = tuple(_profile(bench, v) for v in chosen)
    date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    machine, versions, settings = read_machine(root), installed_versions(), read_settings(root)
    shared = {"date": date, "machine": machine, "versions": versions, "settings": settings, "rows": inputs.origin}
    built = sealed(package.manifest.to_json())[SEAL]
    evidence = [{**p.to_json(), **shared, "package_checksum": built} for p in profiles if p.figures]
    unkept = _keep(package.path, evidence)
    kept = bool(evidence) and not unkept
    return Report(str(path), date, machine, versions, settings, inputs.origin, inputs.notes, profiles, kept, unkept)


def _keep(package: Path, evidence: list[dict[str, Any]]) -> str:
    """Write the evidence; why it can't be, or ""."""
    if not evidence:
        return ""
    try:
        add_evidence(package, PROFILES, evidence)
    except ModelgptEdgeError as error:
        return str(error)
    return ""


def _profile(bench: _Bench, variant: Variant | None) -> Profile:
    name = MODEL if variant is None else variant.name
    try:
        parts = None if variant is None else variant_parts(bench.package, variant)
    except PackageError as error:  # made by a newer version, or for a plug-in's target: nothing is wrong with it
        return Profile(name, "", {}, str(error), TargetUnavailableError.exit_code)
    try:
        if parts is None or parts[2].is_here:
            return Profile(name, HERE, _measured(bench, name))
        backend, files, target = parts
        bench.progress(f"{name}: what its backend can count")
        counted = backend.profile(files, target, bench.rows.numbers, bench.rows.codes)
        return Profile(name, f"in {target.emulator}" if target.emulator else HERE, dict(counted))
    except ModelgptEdgeError as error:
        return Profile(name, "", {}, str(error), error.exit_code)


def _measured(bench: _Bench, name: str) -> dict[str, Any]:
    request = {"package": str(bench.package.path.absolute()), "variant": name, "rows": bench.folder, "seconds": bench.seconds}
    bench.progress(f"{name}: cold, in {STARTS} fresh processes")
    starts = [measure("main", {**request, "cold": True}, bench.folder) for _ in range(STARTS)]
    before = _idle(bench.sensors)
    during: list[Reading] = []
    running = ""

    def stage(word: str) -> None:
        nonlocal running
        running = word
        if word == "sustained":
            bench.progress(f"{name}: sustained, for {bench.seconds:g} s")
        elif word == "warm":
            bench.progress(f"{name}: warm")

    def look() -> None:
        if running == "sustained":
            during.append(bench.sensors.read())

    found = measure("main", {**request, "cold": False}, bench.folder, stage, look if bench.sensors else None)
    peak = max(start.pop("peak_bytes") for start in starts)
    sensors = summary(before, during)
    return {
        "cold": {"processes": STARTS, **{part: statistics.median(s[part] for s in starts) for part in starts[0]}},
        **found,
        "memory": {"peak_bytes": peak, "numpy_alone_bytes": bench.bare},
        "sensors": sensors,
        "energy": _energy(sensors, found["sustained"]),
    }


def _idle(sensors: Sensors) -> list[Reading]:
    """Looks at the sensors while nothing runs; the first one settles what reading them wakes up."""
    readings = []
    for _ in range(IDLE_READINGS if sensors else 0):
        time.sleep(IDLE_PAUSE)
        readings.append(sensors.read())
    return readings[1:]


def _energy(sensors: Mapping[str, Any], sustained: Mapping[str, Any]) -> dict[str, Any]:
    """Millijoules that a row takes at each rail, all of it, and above what the rail gives an idle board."""
    energy = {}
    for name, watts in sensors.get("watts", {}).items():
        if watts["during"] is None:
            continue
        row = watts["during"] / sustained["rows_per_s"] * 1e3
        idle = None if watts["before"] is None else watts["before"] / sustained["rows_per_s"] * 1e3
        energy[name] = {"mj_per_row": row, "mj_per_row_above_idle": None if idle is None else row - idle}
    return energy
