"""The report of a build, as JSON values: what `build --json` prints and the text of `build` is made from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelgpt_edge.architecture.architecture import Architecture
from modelgpt_edge.compile.compiler import Compiled
from modelgpt_edge.manifest import Manifest
from modelgpt_edge.parameters.generate import Generated
from modelgpt_edge.requirement.requirement import Requirement


def build_report(
    out: Path,
    manifest: Manifest,
    generated: Generated,
    compiled: Compiled,
    sizes: list[Architecture],
    notes: tuple[str, ...],
    seconds: float,
) -> dict[str, Any]:
    """What happened in a build.

    Args:
        out: where the package lies.
        sizes: those that the template could have had.
        notes: what the user should know.
        seconds: what the build took.
    """
    requirement, schema, used = manifest.requirement, manifest.requirement.schema, set(manifest.inputs)
    return {
        "package": str(out),
        "requirement": {
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
        },
        "architecture": dict(manifest.architecture),
        "generator": {**manifest.generator, "seconds": round(generated.seconds, 3)},
        "score": dict(manifest.score["child"]),
        "linear": dict(manifest.score["linear"]),
        "baseline": dict(manifest.score["baseline"]),
        "frontier": [asdict(size) for size in sizes],
        "variants": [c.to_json() | {"path": c.path if c.kept else None} for c in compiled.candidates],
        "checks": [h.to_json() for h in compiled.hops],
        "notes": list(notes),
        "seconds": round(seconds, 3),
    }


def remarks(requirement: Requirement, generated: Generated, compiled: Compiled) -> tuple[str, ...]:
    """Notes on what became of the table and of the task's limits."""
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
    limits = requirement.limits
    slow = [
        c
        for c in compiled.candidates
        if c.kept and c.latency_us and limits.latency_ms and c.latency_us > 1000 * limits.latency_ms
    ]
    if slow:
        names = ", ".join(f"{c.target} {c.backend} {c.precision}" for c in slow)
        notes.append(f"Slower here than the {limits.latency_ms:g} ms that the task allows: {names}.")
    if limits.ram_bytes is not None:
        notes.append("The task's limit on working memory is noted in the package, but nothing measures it yet.")
    return tuple(notes)
