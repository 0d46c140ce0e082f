"""The ``rules`` driver of the Requirement Generator: offline, instant, the same answer every time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from modelgpt_edge.data.column_types import type_column
from modelgpt_edge.data.profile import ColumnProfile, Profile
from modelgpt_edge.errors import InputError
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.advice import NO_ADVICE, Advice
from modelgpt_edge.requirement.classes import find_classes
from modelgpt_edge.requirement.devices import choose_targets, find_devices
from modelgpt_edge.requirement.kind import find_kind, mostly_numbers
from modelgpt_edge.requirement.label import FoundLabel, find_label
from modelgpt_edge.requirement.limits import read_limits
from modelgpt_edge.requirement.named import find_mentioned
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.requirement.sentence import write_sentence
from modelgpt_edge.requirement.text_columns import no_labels, only_texts
from modelgpt_edge.requirement.validation import validate
from modelgpt_edge.requirement.wording import shown
from modelgpt_edge.schema import Column, Dropped, Kind, Schema

LARGEST = 1e30  # sums of squares and their inverses stay finite in float32 arithmetic that scales by it
MOST_REMARKS = 5


def write_requirement(request: Request, profile: Profile, advice: Advice = NO_ADVICE) -> Requirement:
    """Understand a request.

    Label, kind and classes are read from options, task and data; limits and devices from options and task alone; which columns
    are named from the task and the headers, never from cells. Where
    the options name no target, the devices that the task names are built for, and x86 where it names none.

    Args:
        advice: what to take for label, kind and named columns where options and task leave them open.

    Raises:
        InputError: an option names what isn't there, or the table has nothing to learn from.
    """
    label = find_label(request.label, request.task, profile.columns, advice)
    _refuse_empty(label)
    kind, kind_because, kind_notes = find_kind(request.kind, request.task, label.profile, advice)
    _refuse_one_value(label.profile, kind)
    classes, class_notes = find_classes(label.profile) if kind == "classification" else ((), ())
    columns, dropped = _inputs(profile, label.profile.name, request.task, advice)
    schema = Schema(
        columns=columns,
        label=_label_column(label.profile, kind),
        label_because=label.because,
        kind=kind,
        kind_because=kind_because,
        classes=classes,
        dropped=dropped,
    )
    limits, limit_notes = read_limits(request.task)
    devices, device_notes = find_devices(request.task)
    targets, target_notes = choose_targets(request.targets, devices)
    requirement = Requirement(
        sentence=write_sentence(request.task, schema, profile.rows),
        modality="table",
        schema=schema,
        limits=limits.overruled(request.limits),
        targets=targets,
        mentioned_target=next(iter(devices), None),
        notes=(
            *label.notes,
            *kind_notes,
            *class_notes,
            *limit_notes,
            *device_notes,
            *target_notes,
            *_remarks(columns),
        ),
        driver="rules",
    )
    validate(requirement, profile)
    return requirement


def _refuse_empty(label: FoundLabel) -> None:
    """InputError where fewer than two rows have a label; rows without one are left out, which reading them notes."""
    column = label.profile
    where = f"label column {shown(column.name)} ({label.because})"
    if column.present == 0:
        cure = "Fill it, or pass another column by --label."
        raise InputError(f"none of the {column.rows:,} rows has a label", where=where, cure=cure)
    if column.present == 1:
        cure = "Give at least two rows with a label, better some dozens."
        raise InputError("only one row has a label", where=where, seen=next(iter(column.counts), None), cure=cure)


def _refuse_one_value(label: ColumnProfile, kind: Kind) -> None:
    """InputError where an amount is the same in every row; one class is refused where classes are listed."""
    if kind == "regression" and mostly_numbers(label) and not label.low < label.high:
        what = "every finite label is the same number" if label.low == label.high else "no label is finite"
        cure = "Add rows with another value, or pass another column by --label."
        raise InputError(what, where=f"label column {shown(label.name)}", seen=next(iter(label.counts), None), cure=cure)
    if kind == "regression" and mostly_numbers(label) and not _fits_float32(label):
        what = "the labels are too large or too close together for 32-bit numbers"
        cure = "Rescale the label, such as by a power of ten."
        raise InputError(what, where=f"label column {shown(label.name)}", seen=f"{label.low:g} to {label.high:g}", cure=cure)


def _fits_float32(label: ColumnProfile) -> bool:
    return max(abs(label.low), abs(label.high)) < LARGEST and label.high - label.low > 1 / LARGEST


def _inputs(profile: Profile, label: str, task: str, advice: Advice) -> tuple[tuple[Column, ...], tuple[Dropped, ...]]:
    mentioned = find_mentioned(task, [c.name for c in profile.columns], label)
    named = mentioned.named or advice.named - mentioned.refused
    typed = [type_column(c) for c in profile.columns if c.name != label]
    columns = tuple(replace(t, named=t.name in named) for t in typed if isinstance(t, Column))
    dropped = tuple(t for t in typed if isinstance(t, Dropped))
    if not columns and only_texts(profile):
        raise no_labels(shown(profile.columns[0].name), "data")
    if not columns:
        reasons = "; ".join(f"{shown(d.name)}: {d.because}" for d in dropped[:5]) or "the table has no other column"
        cure = "Add columns that tell something about the label."
        raise InputError(f"no column is left to predict {shown(label)} from ({reasons})", where="data", cure=cure)
    return columns, dropped


def _remarks(columns: Sequence[Column]) -> tuple[str, ...]:
    """Notes on columns whose rule needed a remark: cells of mixed kinds, infinite numbers, dates that read two ways."""
    odd = [c for c in columns if "; " in c.because]
    notes = [f"Column {shown(c.name)}: {c.because.partition('; ')[2]}." for c in odd[:MOST_REMARKS]]
    if len(odd) > MOST_REMARKS:
        notes.append(f"{len(odd) - MOST_REMARKS} more columns have such remarks: `inspect` shows them.")
    return tuple(notes)


def _label_column(label: ColumnProfile, kind: Kind) -> Column:
    """How the label's cells are read: as words for classes, else as numbers or days."""
    if kind == "classification":
        return Column(label.name, "category", "names of classes")
    if mostly_numbers(label):
        return Column(label.name, "number", "an amount", decimal=label.decimal)
    return Column(label.name, "date", "days since 1970-01-01", date_format=label.date_format)
