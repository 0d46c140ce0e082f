"""What a board's sensors say while something runs: power rails, clocks, temperatures, from the files of Linux alone.

Every file may be absent, and on a PC or in a container most are: then there is no value, never an invented one. INA monitors
(a Jetson's are INA3221, and INA238 on Thor) tell millivolts and milliamperes, or microwatts, by the kernel's hwmon interface.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path("/")
# A Jetson's GPU among what scales its clock: 17000000.gpu (Orin), 17000000.ga10b, gpu-gpc-0 (Thor).
GPU = re.compile(r"gpu|gv11b|ga10b|gb10b", re.IGNORECASE)
# The input of the whole module, where a board measures it: Orin Nano and NX, and the first Nano.
WHOLE = ("VDD_IN", "POM_5V_IN")
NOT_CONNECTED = re.compile(r"nc|sum of shunt voltages", re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """One look at the sensors, each by its name: power in watts, clocks in MHz, temperatures in degrees Celsius."""

    watts: Mapping[str, float]
    mhz: Mapping[str, float]
    celsius: Mapping[str, float]


@dataclass(frozen=True)
class _Rail:
    """A monitored supply: a file of microwatts, or one of millivolts and one of milliamperes."""

    name: str
    files: tuple[Path, ...]

    def watts(self) -> float | None:
        values = [read_number(path) for path in self.files]
        if any(value is None for value in values):
            return None
        product = 1.0
        for value in values:
            product *= value or 0.0
        return product / 1e6


@dataclass(frozen=True)
class Sensors:
    """The sensors that a machine has: where each is read."""

    rails: tuple[_Rail, ...]
    clocks: Mapping[str, tuple[Path, float]]
    zones: Mapping[str, Path]

    def __bool__(self) -> bool:
        """Whether anything can be read at all."""
        return bool(self.rails or self.clocks or self.zones)

    def read(self) -> Reading:
        """Look at every sensor; one that doesn't answer is left out."""
        watts = {rail.name: value for rail in self.rails if (value := rail.watts()) is not None}
        mhz = {name: v / unit for name, (path, unit) in self.clocks.items() if (v := read_number(path)) is not None}
        celsius = {name: v / 1e3 for name, path in self.zones.items() if (v := read_number(path)) is not None}
        return Reading(watts, mhz, celsius)


def find_sensors(root: Path = ROOT) -> Sensors:
    """The sensors that answer now, below a folder that stands for ``/``."""
    rails = tuple(rail for rail in _rails(root) if rail.watts() is not None)
    clocks = {name: place for name, place in _clocks(root) if read_number(place[0]) is not None}
    zones = {name: path for name, path in _zones(root) if read_number(path) is not None}
    return Sensors(rails, clocks, zones)


def _rails(root: Path) -> Iterator[_Rail]:
    seen: set[str] = set()
    for folder in sorted(root.glob("sys/class/hwmon/hwmon*")):
        chip = read_text(folder / "name")
        if not chip.startswith("ina"):
            continue
        for channel in range(1, 9):
            label = read_text(folder / f"in{channel}_label") or read_text(folder / f"power{channel}_label")
            power = folder / f"power{channel}_input"
            files = (power,) if power.exists() else (folder / f"in{channel}_input", folder / f"curr{channel}_input")
            on = read_text(folder / f"in{channel}_enable") != "0"
            if not on or NOT_CONNECTED.fullmatch(label) or not all(file.exists() for file in files):
                continue
            name = label or f"{chip} {channel}"
            yield _Rail(name if name not in seen else f"{name} ({folder.name})", files)
            seen.add(name)


def _clocks(root: Path) -> Iterator[tuple[str, tuple[Path, float]]]:
    """Files of kHz for each group of cores that shares a clock, and of Hz for a GPU, with what makes MHz of them."""
    for policy in sorted(root.glob("sys/devices/system/cpu/cpufreq/policy*"), key=lambda p: read_count(p.name)):
        yield f"cpu{read_count(policy.name)}", (policy / "scaling_cur_freq", 1e3)
    for device in gpu_devices(root):
        yield f"gpu {device.name}", (device / "cur_freq", 1e6)


def gpu_devices(root: Path) -> list[Path]:
    """The folders of GPUs whose clock the kernel scales."""
    return sorted(path for path in root.glob("sys/class/devfreq/*") if GPU.search(path.name))


def _zones(root: Path) -> Iterator[tuple[str, Path]]:
    for zone in sorted(root.glob("sys/class/thermal/thermal_zone*"), key=lambda p: read_count(p.name)):
        yield read_text(zone / "type") or zone.name, zone / "temp"


def summary(before: Sequence[Reading], during: Sequence[Reading]) -> dict[str, Any]:
    """Means before, and means and extremes during a run, as JSON values; a quantity that nothing measures is left out."""
    summaries: dict[str, Any] = {}
    for quantity in ("watts", "mhz", "celsius"):
        names = {name: None for reading in (*before, *during) for name in getattr(reading, quantity)}
        table = {}
        for name in names:
            idle, busy = ([getattr(r, quantity)[name] for r in rs if name in getattr(r, quantity)] for rs in (before, during))
            table[name] = {
                "before": _mean(idle),
                "during": _mean(busy),
                "least": round(min(busy), 3) if busy else None,
                "most": round(max(busy), 3) if busy else None,
                "readings": len(busy),
            }
        if table:
            summaries[quantity] = table
    return summaries


def whole_rail(names: Sequence[str]) -> str | None:
    """The rail that feeds the whole module; None where none is known to."""
    return next((name for name in WHOLE if name in names), None)


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None


def read_text(path: Path) -> str:
    """A small file's text; "" where it can't be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip().strip("\0")
    except OSError:
        return ""


def read_number(path: Path) -> float | None:
    """A small file's number; None where it can't be read."""
    try:
        return float(read_text(path))
    except ValueError:
        return None


def read_count(name: str) -> int:
    """The number at the end of a name such as ``policy4``; 0 without one."""
    found = re.search(r"\d+$", name)
    return int(found[0]) if found else 0
