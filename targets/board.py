"""Which board this machine is, where the kernel's device tree tells."""

from __future__ import annotations

import re
from pathlib import Path

MODEL = Path("/proc/device-tree/model")


def board_name(path: Path = MODEL) -> str:
    """Such as ``Raspberry Pi 5 Model B Rev 1.0``; "" where there is no device tree, as on a PC."""
    try:
        return path.read_bytes().rstrip(b"\0").decode(errors="replace").strip()
    except OSError:
        return ""


def is_board(title: str, name: str) -> bool:
    """Whether a board's name holds every word of a target's title: ``NVIDIA Jetson Orin Nano`` in that of its developer kit."""
    words = re.findall(r"\w+", name.casefold())
    return bool(words) and all(word in words for word in re.findall(r"\w+", title.casefold()))
