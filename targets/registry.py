"""Find a target by the name a user gives it."""

from __future__ import annotations

import re

from modelgpt_edge.errors import InputError, nearest
from modelgpt_edge.targets.builtin import BUILTIN
from modelgpt_edge.targets.plugins import load_plugins
from modelgpt_edge.targets.target import Target


def list_targets() -> tuple[Target, ...]:
    """The built-in targets, then those of plug-ins.

    Raises:
        InputError: a plug-in is broken.
    """
    return (*BUILTIN, *load_plugins())


def find_target(name: str) -> Target:
    """The target of a canonical name or an alias; case, spaces, underscores and hyphens don't matter.

    Raises:
        InputError: no target has this name (the nearest are offered), or a plug-in is broken.
    """
    wanted = fold(name)
    # Built-in ones first, so that a broken plug-in never stands in the way of a target that isn't its own.
    for target in BUILTIN:
        if wanted in _folded(target):
            return target
    plugins = load_plugins()
    for target in plugins:
        if wanted in _folded(target):
            return target
    known = [n for t in (*BUILTIN, *plugins) for n in (t.name, *t.aliases)]
    raise InputError("unknown target", where="--target", seen=name, cure=nearest(name, known))


def fold(name: str) -> str:
    """A name with its case and separators levelled: ``Jetson_Orin Nano`` and ``jetson-orin-nano`` are one."""
    return re.sub(r"[\s_-]+", "-", name.strip()).casefold()


def _folded(target: Target) -> set[str]:
    return {fold(n) for n in (target.name, *target.aliases)}
