"""What the rules read alike for texts and for pictures, which are told apart by classes: limits, devices, what classes mean."""

from __future__ import annotations

from collections.abc import Sequence

from modelgpt_edge.request import Request
from modelgpt_edge.requirement.devices import choose_targets, find_devices
from modelgpt_edge.requirement.limits import read_limits
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.schema import Schema


def classified(request: Request, modality: str, sentence: str, schema: Schema, notes: Sequence[str]) -> Requirement:
    """The requirement of a request whose classes are known.

    Args:
        modality: ``text`` or ``image``; notes: on how the data was read, which come first.
    """
    limits, limit_notes = read_limits(request.task)
    devices, device_notes = find_devices(request.task)
    targets, target_notes = choose_targets(request.targets, devices)
    return Requirement(
        sentence=sentence,
        modality=modality,
        schema=schema,
        limits=limits.overruled(request.limits),
        targets=targets,
        mentioned_target=next(iter(devices), None),
        notes=(*notes, *limit_notes, *device_notes, *target_notes),
        driver="rules",
        meanings={name: meaning for name, meaning in request.classes.items() if meaning},
    )
