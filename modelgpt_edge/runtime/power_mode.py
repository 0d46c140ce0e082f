"""How a board is set to run: a Jetson's power mode, the governors and bounds of its clocks, a Raspberry Pi's throttling flags.

These decide a latency as much as the model does, so a profile tells them. What can't be read is left out.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modelgpt_edge.runtime.sensors import ROOT, gpu_devices, read_count, read_number, read_text

SECONDS = 5
NVPMODEL = ("usr/sbin/nvpmodel", "usr/bin/nvpmodel")
VCGENCMD = ("usr/bin/vcgencmd", "opt/vc/bin/vcgencmd")
# By the bit of `vcgencmd get_throttled`; 16 bits further up stands whether it has happened since the start.
THROTTLED = {0: "under-voltage", 1: "clock capped", 2: "throttled", 3: "soft temperature limit"}


def read_settings(root: Path = ROOT) -> dict[str, Any]:
    """Settings as JSON values: ``power_mode``, ``clocks`` {name: {governor, least_mhz, most_mhz}}, ``throttling``."""
    found: dict[str, Any] = {
        "power_mode": read_power_mode(root),
        "clocks": dict(_clocks(root)),
        "throttling": read_throttling(root),
    }
    return {name: value for name, value in found.items() if value not in (None, {})}


def read_power_mode(root: Path = ROOT) -> str | None:
    """A Jetson's power mode, such as ``15W (0)``; None where there is none."""
    told = _run(root, NVPMODEL, "-q")
    if found := re.search(r"NV Power Mode:\s*(\S+)\s+(\d+)", told):
        return f"{found[1]} ({found[2]})"
    status = re.search(r"pmode:(\d+)", read_text(root / "var/lib/nvpmodel/status"))
    if not status:
        return None
    number = int(status[1])
    models = read_text(root / "etc/nvpmodel.conf")
    named = re.search(rf"<\s*POWER_MODEL\s+ID={number}\s+NAME=(\S+)\s*>", models)
    return f"{named[1]} ({number})" if named else f"mode {number}"


def read_throttling(root: Path = ROOT) -> list[str] | None:
    """What holds a Raspberry Pi back now, or has since it was started; empty for nothing, None where it can't be told."""
    told = _run(root, VCGENCMD, "get_throttled")
    if not (found := re.search(r"throttled=0x([0-9a-fA-F]+)", told)):
        files = sorted(root.glob("sys/devices/platform/soc*/*firmware/get_throttled"))
        found = re.fullmatch(r"(?:0x)?([0-9a-fA-F]+)", read_text(files[0])) if files else None
    if not found:
        return None
    bits = int(found[1], 16)
    now = [f"{word} now" for bit, word in THROTTLED.items() if bits >> bit & 1]
    past = [f"{word} since the start" for bit, word in THROTTLED.items() if bits >> (bit + 16) & 1 and not bits >> bit & 1]
    return [*now, *past]


def _clocks(root: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for policy in sorted(root.glob("sys/devices/system/cpu/cpufreq/policy*"), key=lambda p: read_count(p.name)):
        bounds = [read_number(policy / f"scaling_{end}_freq") for end in ("min", "max")]
        if described := _described(read_text(policy / "scaling_governor"), bounds, 1e3):
            yield f"cpu{read_count(policy.name)}", described
    for device in gpu_devices(root):
        bounds = [read_number(device / f"{end}_freq") for end in ("min", "max")]
        if described := _described(read_text(device / "governor"), bounds, 1e6):
            yield f"gpu {device.name}", described


def _described(governor: str, bounds: list[float | None], unit: float) -> dict[str, Any]:
    least, most = (None if value is None else value / unit for value in bounds)
    values = {"governor": governor or None, "least_mhz": least, "most_mhz": most}
    return {name: value for name, value in values.items() if value is not None}


def _run(root: Path, places: tuple[str, ...], argument: str) -> str:
    """What a board's own tool prints; "" where it isn't there, fails or hangs."""
    for place in places:
        if not (root / place).is_file():
            continue
        try:
            ran = subprocess.run(
                [str(root / place), argument], stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, text=True
            )
        except (OSError, subprocess.SubprocessError, ValueError):
            continue
        if ran.returncode == 0:
            return ran.stdout
    return ""
