"""What this board is, as far as an engine cares: model, GPU, JetPack, CUDA and driver; one small function a fact."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from modelgpt_edge.targets.board import board_name
from modelgpt_edge.targets.tensorrt.cuda import Cuda

UNKNOWN = "unknown"
ROOT = Path("/")


@dataclass(frozen=True)
class Board:
    """Facts of this machine; `UNKNOWN` for what it doesn't tell.

    Attributes:
        model: the board's own name, such as ``NVIDIA Jetson Orin Nano Developer Kit``.
        sm: architecture of its GPU, such as ``sm_87``.
        jetpack: its release of Jetson Linux, such as ``L4T 36.4.3`` (JetPack 6.2), which no package can change alone.
        cuda: version of the CUDA toolkit.
        driver: version of the driver.
        memory_bytes: memory of the GPU, on a Jetson shared.
    """

    model: str
    sm: str
    jetpack: str
    cuda: str
    driver: str
    memory_bytes: int


def read_board(cuda: Cuda, root: Path | None = None) -> Board:
    """The facts, files read under `root`."""
    root = root or ROOT
    return Board(
        model=read_model(root),
        sm=cuda.sm,
        jetpack=read_jetpack(root),
        cuda=read_cuda(root) or cuda.driver_version,
        driver=read_driver(root) or cuda.driver_version,
        memory_bytes=cuda.memory_bytes,
    )


def read_model(root: Path = ROOT) -> str:
    """The device tree's model."""
    return board_name(root / "proc/device-tree/model") or UNKNOWN


def read_jetpack(root: Path = ROOT) -> str:
    """Release of Jetson Linux, from the first line of ``/etc/nv_tegra_release``."""
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", _text(root / "etc/nv_tegra_release"))
    return f"L4T {found[1]}.{found[2]}" if found else UNKNOWN


def read_cuda(root: Path = ROOT) -> str:
    """Version of the toolkit at ``/usr/local/cuda``; "" where there is none."""
    try:
        return str(json.loads(_text(root / "usr/local/cuda/version.json"))["cuda"]["version"])
    except (ValueError, KeyError, TypeError):
        return ""


def read_driver(root: Path = ROOT) -> str:
    """Version of the kernel's NVIDIA module; "" where it doesn't tell."""
    found = re.search(r"\s(\d+\.\d+(?:\.\d+)?)\s", _text(root / "proc/driver/nvidia/version"))
    return found[1] if found else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
