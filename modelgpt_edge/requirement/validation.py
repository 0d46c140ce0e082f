"""Check a Requirement against the data it was written for, whoever wrote it.

A driver's answer is never trusted: a column or class that isn't in the data, or a limit of nothing, is refused here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from modelgpt_edge.data.profile import ColumnProfile, Profile
from modelgpt_edge.errors import InputError, nearest
from modelgpt_edge.limits import Limits
from modelgpt_edge.requirement.classes import MOST_CLASSES, class_counts
from modelgpt_edge.requirement.kind import KINDS
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.requirement.sentence import LONGEST
from modelgpt_edge.requirement.wording import clean
from modelgpt_edge.schema import Schema
from modelgpt_edge.targets.registry import find_target


def validate(requirement: Requirement, profile: Profile) -> None:
    """Raise InputError for the first thing in a requirement that is malformed or isn't so in the data."""
    sentence = requirement.sentence
    if not sentence or sentence != clean(sentence, LONGEST):
        cure = f"Write one line of 1 to {LONGEST} visible characters."
        raise InputError("the sentence is no sentence", where="requirement", seen=sentence, cure=cure)
    if requirement.modality != "table":
        raise InputError("unknown modality", where="requirement", seen=requirement.modality, cure="It must be 'table'.")
    _check_columns(requirement.schema, profile)
    _check_classes(requirement.schema, profile.column(requirement.schema.label.name))
    for name, value in _limits(requirement.limits):
        if not (math.isfinite(value) and value > 0):
            raise InputError(
                f"the limit {name} must be above 0", where="requirement", seen=value, cure="Leave it out, or raise it."
            )
    if not requirement.targets:
        raise InputError("no target is named", where="requirement", cure="Name at least one, such as x86.")
    mentioned = (requirement.mentioned_target,) if requirement.mentioned_target else ()
    for target in (*requirement.targets, *mentioned):
        if find_target(target).name != target:
            cure = f"Use its canonical name {find_target(target).name!r}."
            raise InputError("a target isn't named canonically", where="requirement", seen=target, cure=cure)


def _check_columns(schema: Schema, profile: Profile) -> None:
    known = [c.name for c in profile.columns]
    present = set(known)
    used = [schema.label.name, *(c.name for c in schema.columns), *(d.name for d in schema.dropped)]
    for name in used:
        if name not in present:
            raise InputError("no column has this name", where="requirement", seen=name, cure=nearest(name, known))
    if not schema.columns:
        raise InputError("no column is left to predict from", where="requirement", cure="Name at least one input column.")
    seen: set[str] = set()
    for name in used:
        if name in seen:
            cure = "A column is the label, an input or dropped, and each only once."
            raise InputError("a column has two roles", where="requirement", seen=name, cure=cure)
        seen.add(name)
    if len(seen) < len(known):
        forgotten = next(name for name in known if name not in seen)
        cure = "Make it an input, or drop it with a reason."
        raise InputError("a column has no role", where="requirement", seen=forgotten, cure=cure)


def _check_classes(schema: Schema, label: ColumnProfile) -> None:
    if schema.kind not in KINDS:
        raise InputError("unknown kind", where="requirement", seen=schema.kind, cure="It must be classification or regression.")
    if schema.kind == "regression":
        if schema.classes:
            raise InputError("regression has no classes", where="requirement", seen=schema.classes, cure="Leave them out.")
        return
    if not 2 <= len(schema.classes) <= MOST_CLASSES or len(set(schema.classes)) < len(schema.classes):
        cure = f"Name 2 to {MOST_CLASSES} different classes."
        raise InputError("the classes can't be told apart", where="requirement", seen=schema.classes, cure=cure)
    counts, classes = class_counts(label), set(schema.classes)
    for name in schema.classes:
        if name not in counts:
            raise InputError("no row has this class", where="requirement", seen=name, cure=nearest(name, counts))
    absent = next((name for name in counts if name not in classes), None)
    if absent is not None:
        raise InputError("a class of the data is left out", where="requirement", seen=absent, cure="Name every class.")


def _limits(limits: Limits) -> Iterator[tuple[str, float]]:
    for name in ("latency_ms", "flash_bytes", "ram_bytes"):
        value = getattr(limits, name)
        if value is not None:
            yield name, value
