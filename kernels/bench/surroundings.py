"""Where a figure was measured: the machine, its GPU and clocks, versions, and which kernels they were."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch  # noqa: TID251 - asks for the GPU

from modelgpt_edge.kernels.gpu import why_no_gpu
from modelgpt_edge.runtime.machine import installed_versions, read_machine

KERNELS = Path(__file__).resolve().parent.parent
CLOCKS = {
    "clocks.sm": "sm_mhz",
    "clocks.max.sm": "most_sm_mhz",
    "clocks.mem": "memory_mhz",
    "clocks.max.mem": "most_memory_mhz",
    "power.limit": "power_limit_w",
    "temperature.gpu": "celsius",
}


def surroundings(kernels: Sequence[str]) -> dict[str, Any]:
    """Time, machine, GPU, versions and hashes of kernels, as JSON values."""
    found = installed_versions()
    for tool in ("torch", "triton"):
        try:
            found[tool] = version(tool)
        except PackageNotFoundError:
            continue
    return {
        "when": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": read_machine(),
        "gpu": None if why_no_gpu() else read_gpu(),
        "versions": found,
        "kernels": {name: kernel_hash(name) for name in kernels},
    }


def read_gpu() -> dict[str, Any]:
    """Name, memory, compute capability, CUDA and clocks of the current GPU; of clocks what `nvidia-smi` tells."""
    facts = torch.cuda.get_device_properties(torch.cuda.current_device())
    told = {
        "name": facts.name,
        "memory_bytes": facts.total_memory,
        "multiprocessors": facts.multi_processor_count,
        "cc": 10 * facts.major + facts.minor,
        "cuda": torch.version.cuda,
    }
    return {**told, **read_clocks(f"GPU-{facts.uuid}")}


def read_clocks(gpu: str) -> dict[str, float]:
    """MHz now and at the most, watts allowed and temperature of a GPU; what isn't told is left out."""
    command = ["nvidia-smi", f"--id={gpu}", f"--query-gpu={','.join(CLOCKS)}", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return parse_clocks(said)


def parse_clocks(said: str) -> dict[str, float]:
    """One line of numbers with commas between, some of which may be "[N/A]"."""
    cells = [cell.strip() for cell in (said.strip().splitlines() or [""])[0].split(",")]
    return {name: float(cell) for name, cell in zip(CLOCKS.values(), cells) if cell.replace(".", "", 1).isdigit()}


def kernel_hash(kernel: str) -> str:
    """Twelve digits of the SHA-256 of the sources that a kernel is made of."""
    digest = hashlib.sha256()
    for path in sorted([*KERNELS.glob("*.py"), *(KERNELS / kernel).glob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def described(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The same for people: a name and a line each."""
    machine, gpu = found["machine"], found["gpu"]
    processor = machine.get("processor", machine.get("architecture", "unknown"))
    lines = [("Machine", f"{processor}, {machine.get('cores', '?')} cores, {machine.get('kernel', '')}")]
    if gpu:
        memory = f"{gpu['memory_bytes'] / (1 << 30):.0f} GB, {gpu['multiprocessors']} multiprocessors, sm_{gpu['cc']}"
        lines.append(("GPU", f"{gpu['name']}, {memory}, CUDA {gpu['cuda']}"))
        lines.append(("Clocks", _clocks(gpu)))
    lines.append(("Versions", ", ".join(f"{tool} {number}" for tool, number in found["versions"].items())))
    lines.append(("Kernels", ", ".join(f"{name} {digits}" for name, digits in found["kernels"].items())))
    return lines


def _clocks(gpu: Mapping[str, Any]) -> str:
    told = []
    if {"sm_mhz", "most_sm_mhz"} <= set(gpu):
        told.append(f"multiprocessors {gpu['sm_mhz']:,.0f} of {gpu['most_sm_mhz']:,.0f} MHz")
    if {"memory_mhz", "most_memory_mhz"} <= set(gpu):
        told.append(f"memory {gpu['memory_mhz']:,.0f} of {gpu['most_memory_mhz']:,.0f} MHz")
    if "power_limit_w" in gpu:
        told.append(f"up to {gpu['power_limit_w']:.0f} W")
    if "celsius" in gpu:
        told.append(f"{gpu['celsius']:.0f} C")
    return ", ".join(told) or "not told: nvidia-smi isn't here"
