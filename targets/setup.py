"""Fetch what an emulator needs beyond its program; nothing else in the project downloads anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from modelgpt_edge.errors import InputError, nearest

Progress = Callable[[str, float], None]
NAMES = ("aarch64", "browser")


def set_up(name: str, progress: Progress) -> Path:
    """Download an emulator's files into the cache, once; returns their folder.

    Raises:
        InputError: there is no such set-up.
        TargetUnavailableError: a tool or the network isn't there; what failed is passed on.
    """
    if name == "aarch64":
        from modelgpt_edge.targets.aarch64 import root

        return root.set_up(progress)
    if name == "browser":
        from modelgpt_edge.targets.browser.emulator import Chromium
        from modelgpt_edge.targets.browser.library import library_folder

        Chromium().set_up(progress)
        return library_folder()
    raise InputError("there is nothing of this name to set up", where="--setup", seen=name, cure=nearest(name, NAMES))
