"""What is told of the targets on this machine: which backends work, and how an artefact would be checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelgpt_edge.targets.backend import Availability
from modelgpt_edge.targets.target import BUILT_NOT_RUN, RUNS_HERE, Target


def described(
    targets: Sequence[Target], backends: Mapping[str, Availability], emulators: Mapping[str, Availability]
) -> list[dict[str, object]]:
    """Targets as JSON values, with the backends that work here and how an artefact would be checked."""
    return [
        t.to_json()
        | {
            "available": {b: backends[b].available for b in t.backends if b in backends},
            "checked_here": checked_here(t, emulators),
        }
        for t in targets
    ]


def checked_here(target: Target, emulators: Mapping[str, Availability]) -> str:
    """How an artefact would be checked here and now."""
    if target.checked == RUNS_HERE:
        return RUNS_HERE if target.is_here else BUILT_NOT_RUN
    there = target.emulator is not None and emulators[target.emulator].available
    return target.checked if there or target.checked == BUILT_NOT_RUN else f"{BUILT_NOT_RUN}: no {target.emulator}"
