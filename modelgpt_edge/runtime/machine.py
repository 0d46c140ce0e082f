"""Which machine a figure was measured on, and by which versions: no figure means anything without."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from modelgpt_edge.runtime.sensors import ROOT, read_text
from modelgpt_edge.targets.board import MODEL, board_name

TOOLS = ("modelgpt-edge", "numpy", "onnxruntime", "apache-tvm", "apache-tvm-ffi", "tensorrt")


def read_machine(root: Path = ROOT) -> dict[str, Any]:
    """Board, processor, architecture, cores and kernel as JSON values; what can't be told is left out."""
    told = {
        "board": board_name(root / MODEL.relative_to("/")),
        "processor": _processor(read_text(root / "proc/cpuinfo")),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "kernel": f"{platform.system()} {platform.release()}",
    }
    return {name: value for name, value in told.items() if value}


def installed_versions() -> dict[str, str]:
    """Python's version, and those of what is installed of the tools that may run a variant."""
    found = {"python": platform.python_version()}
    for tool in TOOLS:
        try:
            found[tool] = version(tool)
        except PackageNotFoundError:
            continue
    return found


def _processor(cpuinfo: str) -> str:
    """The first core's model name; "" where the kernel tells none, as on most ARM boards."""
    lines = (line.partition(":") for line in cpuinfo.splitlines())
    return next((value.strip() for name, _, value in lines if name.strip() == "model name"), "")
