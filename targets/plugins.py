"""Targets from other packages, registered by the entry-point group ``modelgpt_edge.targets``.

An entry point loads to one `Target` or a tuple of them. A plug-in that is broken is an error that names it, never skipped.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

from modelgpt_edge.errors import InputError
from modelgpt_edge.targets.builtin import BUILTIN
from modelgpt_edge.targets.conformance import check_target
from modelgpt_edge.targets.target import Target

GROUP = "modelgpt_edge.targets"


@lru_cache(maxsize=1)
def registered() -> tuple[EntryPoint, ...]:
    """The entry points of all installed packages, looked for once in a process: that takes tens of milliseconds."""
    return tuple(entry_points(group=GROUP))


def load_plugins() -> tuple[Target, ...]:
    """All out-of-tree targets, in the order of their entry points' names.

    Raises:
        InputError: a plug-in doesn't import, isn't a target, fails `check_target`, or takes a name that is in use.
    """
    found: list[Target] = []
    for entry in sorted(registered(), key=lambda e: (e.name, e.value)):
        for target in _load(entry):
            findings = check_target(target, (*BUILTIN, *found))
            if target in found or target in BUILTIN:
                findings += (f"The target {target.name} is registered already.",)
            if findings:
                raise _broken(entry, " ".join(findings))
            found.append(target)
    return tuple(found)


def _load(entry: EntryPoint) -> tuple[Target, ...]:
    try:
        loaded = entry.load()
    except Exception as error:  # a plug-in may raise anything; the user must learn which one it was
        raise _broken(entry, f"it doesn't import: {type(error).__name__}: {error}") from error
    return loaded if isinstance(loaded, tuple) else (loaded,)


def _broken(entry: EntryPoint, why: str) -> InputError:
    package = entry.dist.name if entry.dist else entry.value.partition(":")[0].partition(".")[0]
    return InputError(
        f"a plug-in's target can't be used: {why}",
        where=f"plug-in {entry.name!r} of package {package}",
        seen=entry.value,
        cure=f"Update it, or remove it with: pip uninstall {package}",
    )
