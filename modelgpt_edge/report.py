"""The report of a build, as JSON values: what `build --json` prints and the text of `build` is made from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelgpt_edge.compile.compiler import Compiled
from modelgpt_edge.finetuning import finetuning_note
from modelgpt_edge.manifest import Manifest
from modelgpt_edge.requirement.requirement import Requirement

if TYPE_CHECKING:
    from modelgpt_edge.frontier import Point
    from modelgpt_edge.parameters.generate import Generated


def build_report(
    out: Path,
    manifest: Manifest,
    generated: Generated,
    compiled: Compiled,
    frontier: list[Point],
    limited: bool,
    notes: tuple[str, ...],
    seconds: float,
) -> dict[str, Any]:
    """What happened in a build.

    Args:
        out: where the package lies.
        frontier: every size that the template could have had.
        limited: whether a budget made the choice among them.
        notes: what the user should know.
        seconds: what the build took.
    """
    return {
        "package": str(out),
        "requirement": _understood(manifest),
        "architecture": dict(manifest.architecture),
        "generator": {**manifest.generator, "seconds": round(generated.seconds, 3)},
        **_evidence(manifest, compiled),
        "limited": limited,
        "frontier": [point.to_json() for point in frontier],
        "notes": list(notes),
        "seconds": round(seconds, 3),
    }


def text_report(
    out: Path, manifest: Manifest, compiled: Compiled, generation_seconds: float, notes: tuple[str, ...], seconds: float
) -> dict[str, Any]:
    """What happened in a build of a text model; args as for `build_report`."""
    return {
        "package": str(out),
        "requirement": {**_understood(manifest), "meanings": dict(manifest.requirement.meanings)},
        "architecture": dict(manifest.architecture),
        "generator": {**manifest.generator, "seconds": round(generation_seconds, 3)},
        **_evidence(manifest, compiled),
        "limited": manifest.requirement.limits.any,
        "frontier": [],
        "notes": list(notes),
        "seconds": round(seconds, 3),
    }


def _understood(manifest: Manifest) -> dict[str, Any]:
    """The requirement, as it is told."""
    requirement, schema, used = manifest.requirement, manifest.requirement.schema, set(manifest.inputs)
    return {
        "sentence": requirement.sentence,
        "modality": requirement.modality,
        "kind": schema.kind,
        "kind_because": schema.kind_because,
        "label": schema.label.name,
        "label_because": schema.label_because,
        "classes": list(schema.classes),
        "columns": [asdict(c) | {"used": c.name in used} for c in schema.columns],
        "dropped": [asdict(d) for d in schema.dropped],
        "limits": asdict(requirement.limits),
        "targets": list(requirement.targets),
    }


def _evidence(manifest: Manifest, compiled: Compiled) -> dict[str, Any]:
    """Scores, variants and what the gate measured."""
    return {
        "score": dict(manifest.score["child"]),
        "linear": dict(manifest.score["linear"]),
        "baseline": dict(manifest.score["baseline"]),
        "variants": [c.to_json() | {"path": c.path if c.kept else None} for c in compiled.candidates],
        "checks": [h.to_json() for h in compiled.hops],
    }


def remarks(requirement: Requirement, generated: Generated, tested: bool) -> tuple[str, ...]:
    """Notes on what became of the table.

    Args:
        tested: whether the score is of the user's own test rows.
    """
    notes = []
    encoder, columns = generated.child.encoder, len(requirement.schema.columns)
    used = len(encoder.numbers) + len(encoder.words)
    if used < columns:
        notes.append(
            f"The model takes {used:,} of the {columns:,} columns: those that tell most about the label, as many as fit it."
        )
    child, baseline = generated.scores.child, generated.scores.baseline
    key = "log_loss" if generated.child.classes else "rmse"
    if child.others[key] >= baseline.others[key]:
        constant = "the commonest class" if generated.child.classes else "the mean"
        notes.append(
            f"On held-out rows the model is no better than always saying {constant}: these columns may not tell the label."
        )
    best = min(generated.losses, key=lambda name: generated.losses[name])
    if generated.generator == "trained" != best:
        notes.append(f"On held-out rows {best} is likelier than trained: leave out --generator to have the better one.")
    if generated.finetuned is not None:
        notes.append(finetuning_note(generated.finetuned.to_json(), bool(generated.child.classes), tested))
    return tuple(notes)
