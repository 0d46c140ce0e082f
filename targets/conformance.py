"""The conformance suite that every target must pass, built in or not.

Plug-in authors call `check_target` in a test of their own; the registry calls it before it lists a plug-in's target.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields

from modelgpt_edge.errors import InputError
from modelgpt_edge.targets.backends import BACKENDS, EMULATORS
from modelgpt_edge.targets.builtin import BUILTIN
from modelgpt_edge.targets.target import BUILT_NOT_RUN, CHECKED, PRECISIONS, RUNS_EMULATED, Target

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
SM = re.compile(r"sm_[0-9]{2,3}[a-z]?")


def check_target(target: object, others: Iterable[Target] = BUILTIN) -> tuple[str, ...]:
    """Everything that is wrong with a target, one sentence a finding; empty when it may be used.

    Args:
        target: what should be a `Target`.
        others: the targets beside which it must be usable; an equal one among them is taken for itself.
    """
    if not isinstance(target, Target):
        return (f"It is a {type(target).__name__}, not a modelgpt_edge.targets.target.Target.",)
    wrong_types = tuple(_types(target))
    if wrong_types:  # the other checks would only repeat them, or fall over them
        return wrong_types
    return (*_names(target, others), *_parts(target), *_json(target))


def _types(target: Target) -> Iterator[str]:
    for attribute in ("name", "title", "arch", "checked"):
        if not isinstance(getattr(target, attribute), str) or not getattr(target, attribute):
            yield f"{attribute} must be a text that isn't empty, not {getattr(target, attribute)!r}."
    for attribute in ("aliases", "precisions", "backends"):
        values = getattr(target, attribute)
        if not isinstance(values, tuple) or not all(isinstance(v, str) for v in values):
            yield f"{attribute} must be a tuple of texts, not {values!r}."
    for attribute in ("sm", "emulator"):
        if not isinstance(getattr(target, attribute), str | None):
            yield f"{attribute} must be a text or None, not {getattr(target, attribute)!r}."
    for attribute in ("ram_bytes", "flash_bytes"):
        value = getattr(target, attribute)
        if value is not None and (type(value) is not int or value <= 0):
            yield f"{attribute} must be a whole number of bytes above 0, or None, not {value!r}."
    if not _is_number(target.call_us) or target.call_us < 0:
        yield f"call_us must be a number of 0 or more, not {target.call_us!r}."
    speed = target.macs_per_second
    if speed is not None and (not _is_number(speed) or speed <= 0):
        yield f"macs_per_second must be a number above 0, or None, not {speed!r}."
    if not isinstance(target.facts, dict) or not all(isinstance(t, str) for item in target.facts.items() for t in item):
        yield f"facts must be a dict of texts, not {target.facts!r}."


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _names(target: Target, others: Iterable[Target]) -> Iterator[str]:
    names = (target.name, *target.aliases)
    for name in names:
        if not NAME.fullmatch(name):
            yield f"The name {name!r} must be lower-case letters and digits in words joined by hyphens, a letter first."
    if len(set(names)) < len(names):
        yield f"A name stands twice among {list(names)}."
    for other in others:
        shared = sorted(set(names) & {other.name, *other.aliases})
        if shared and other != target:
            yield f"The name {shared[0]!r} belongs to the target {other.name} already."


def _parts(target: Target) -> Iterator[str]:
    for part, values, known in (("precision", target.precisions, PRECISIONS), ("backend", target.backends, tuple(BACKENDS))):
        if not values:
            yield f"It needs at least one {part} of {list(known)}."
        if len(set(values)) < len(values):
            yield f"A {part} stands twice among {list(values)}."
        for value in values:
            if value not in known:
                yield f"The {part} {value!r} is unknown; known: {list(known)}."
    if target.sm is not None and not SM.fullmatch(target.sm):
        yield f"sm must look like 'sm_87', not {target.sm!r}."
    if target.checked not in CHECKED:
        yield f"checked must be one of {list(CHECKED)}, not {target.checked!r}."
    if (target.emulator is not None) != (target.checked == RUNS_EMULATED):
        yield f"emulator must be named exactly when checked is {RUNS_EMULATED!r} (else {BUILT_NOT_RUN!r} is honest)."
    if target.emulator is not None and target.emulator not in EMULATORS:
        yield f"The emulator {target.emulator!r} is unknown; known: {list(EMULATORS)}."
    for name in target.backends:
        if name in BACKENDS and not set(target.precisions) & set(BACKENDS[name].precisions):
            yield f"The backend {name} compiles none of its precisions {list(target.precisions)}."


def _json(target: Target) -> Iterator[str]:
    try:
        back = Target.from_json(json.loads(json.dumps(target.to_json())))
    except (TypeError, ValueError, InputError) as error:
        yield f"It doesn't survive JSON: {error}"
        return
    changed = [f.name for f in fields(Target) if getattr(back, f.name) != getattr(target, f.name)]
    if changed:
        yield f"It comes back from JSON with another {', '.join(changed)}."
