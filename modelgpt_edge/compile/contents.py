"""What goes into a package: the manifest of a finished build, and every file's content by its path."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from modelgpt_edge.child_file import CHILD, child_bytes
from modelgpt_edge.compile.card import model_card
from modelgpt_edge.compile.compiler import Compiled
from modelgpt_edge.compile.frontier_picture import draw_frontier
from modelgpt_edge.compile.package import sha256
from modelgpt_edge.compile.picture import draw_report
from modelgpt_edge.manifest import CARD, CHECKS, FRONTIER, GOLDEN, MANIFEST, REPORT, TRUTH, Manifest, Variant, sealed
from modelgpt_edge.requirement.requirement import Requirement

if TYPE_CHECKING:
    from modelgpt_edge.architecture.architecture import Architecture
    from modelgpt_edge.frontier import Point
    from modelgpt_edge.parameters.generate import Generated, Scores

TOOLS = ("modelgpt-edge", "numpy", "onnx", "onnxruntime")


def describe(
    requirement: Requirement,
    columns: tuple[str, ...],
    architecture: Architecture,
    generated: Generated,
    scores: Scores,
    compiled: Compiled,
    seed: int,
    chosen_by: str,
) -> Manifest:
    """The manifest of a build, checksums not yet in it.

    Args:
        columns: names of the table's columns but the label.
        scores: of the child, the plain linear model and the baseline, to be shown.
        chosen_by: who chose the generator: ``guard``, ``user``, ``limits`` where they left no room for what the user asked for,
            or ``refit`` where weights were replaced.
    """
    child = generated.child
    kept = [c for c in compiled.candidates if c.kept]
    return Manifest(
        requirement=requirement,
        columns=columns,
        inputs=(*child.encoder.numbers, *child.encoder.words),
        vocabularies=child.encoder.vocabularies,
        classes=child.classes,
        architecture={
            "template": architecture.template,
            "units": architecture.units if child.units.count else 0,
            "draws": architecture.draws if child.units.count else 0,
            "parameters": child.parameters,
            "macs": architecture.macs,
            "bytes": min((c.bytes for c in kept), default=len(compiled.truth)),
        },
        generator={
            "name": generated.generator,
            "losses": generated.losses,
            "blend": asdict(generated.blend),
            "divergence": generated.divergence,
            "chosen_by": chosen_by,
            "finetune": None if generated.finetuned is None else generated.finetuned.to_json(),
        },
        score=asdict(scores),
        seed=seed,
        variants=tuple(Variant(c.target, c.backend, c.precision, c.path, c.front, c.checked, c.bytes) for c in kept),
        versions={"python": platform.python_version(), **{tool: version(tool) for tool in TOOLS}},
    )


def package_files(
    manifest: Manifest, generated: Generated, compiled: Compiled, frontier: Sequence[Point], notes: tuple[str, ...]
) -> dict[str, bytes]:
    """Contents of the package by path, the manifest with their checksums last.

    Args:
        frontier: the sizes that were weighed; none where only weights were replaced.
    """
    label = manifest.requirement.schema.label.name
    own = {
        CHILD: child_bytes(generated.child),
        CARD: model_card(manifest, compiled.candidates, notes).encode(),
        REPORT: draw_report(generated.held_out, generated.truth, manifest.classes, label).encode(),
    }
    if frontier:
        own[FRONTIER] = draw_frontier(frontier).encode()
    checks = {"frontier": [point.to_json() for point in frontier], "generation_seconds": generated.seconds}
    return sealed_files(manifest, own, compiled, checks)


def sealed_files(
    manifest: Manifest, own: Mapping[str, bytes], compiled: Compiled, checks: Mapping[str, Any]
) -> dict[str, bytes]:
    """What every package holds, and its own files beside it; the manifest with their checksums last.

    Args:
        checks: evidence beside that of the compiler, as JSON values.
    """
    files = {TRUTH: compiled.truth, GOLDEN: compiled.golden.to_bytes(), **own}
    kept = [c for c in compiled.candidates if c.kept]
    for candidate, variant in zip(kept, manifest.variants):
        files |= {f"{variant.path}/{name}": content for name, content in candidate.files.items()}
    values = sealed(manifest.to_json() | {"files": {name: sha256(content) for name, content in files.items()}})
    found = {"hops": [h.to_json() for h in compiled.hops], "candidates": [c.to_json() for c in compiled.candidates]}
    return files | {CHECKS: _json(found | dict(checks)), MANIFEST: _json(values)}


def _json(values: object) -> bytes:
    return (json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
