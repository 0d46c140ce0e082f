"""What goes into the package of a model of pictures: its manifest, its model card, and every file's content by its path."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import onnx

from modelgpt_edge.architecture.image.onnx_cost import count_parameters
from modelgpt_edge.architecture.image.template import PictureTemplate
from modelgpt_edge.compile.candidate import Candidate
from modelgpt_edge.compile.card import safe, score_lines, variant_lines
from modelgpt_edge.compile.compiler import Compiled
from modelgpt_edge.compile.contents import TOOLS, sealed_files
from modelgpt_edge.compile.picture import draw_report
from modelgpt_edge.manifest import CARD, REPORT, Manifest, Variant
from modelgpt_edge.parameters.image.generate import PicturesGenerated
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.requirement.wording import figure, network_name, sized_name, spoken
from modelgpt_edge.text_head import HEAD

SHEET = "predictions.png"
MOST_CLASSES = 10
# What is predicted, in titles.
SHOWN = "what pictures show"
HOW = {
    "words": "the classes' names, by where a classifier of ImageNet would put them",
    "linear": "a multinomial logistic head on what the template says of the pictures, solved to convergence",
    "floor": "a multinomial logistic head, solved to convergence with what the classes' names say as its prior mean",
    "stages": "such a head, names and all, with what earlier stages of the backbone say beside the last one",
    "shapes": "such a head, names and all, with what the tiny trunk says counting more than the backbone",
}
TRUNK_LEARNT = "learnt from CIFAR-10's photographs and from drawn shapes"
LEARNT = {
    "backbone": "The backbone learnt from ImageNet's photographs",
    "trunk": f"The trunk {TRUNK_LEARNT}",
    "timm": "The network learnt from what timm's page of it names",
    "onnx": "The network learnt from what its makers showed it",
}


def describe_pictures(
    requirement: Requirement,
    template: PictureTemplate,
    weighed: Sequence[tuple[PictureTemplate, float]],
    generated: PicturesGenerated,
    compiled: Compiled,
    seed: int,
    chosen_by: str,
) -> Manifest:
    """The manifest of a build, checksums not yet in it.

    Args:
        weighed: templates that held-out pictures were asked of, and the mean log loss on each.
        chosen_by: who chose the generator: ``guard``, ``user``, or ``words`` where there was nothing to choose by.
    """
    kept = [c for c in compiled.candidates if c.kept]
    blocks = len(generated.space.blocks)
    beside = template.beside if blocks > 1 else None
    schema = requirement.schema
    names = tuple(c.name for c in schema.columns)
    return Manifest(
        requirement=requirement,
        columns=names,
        inputs=names,
        vocabularies=(),
        classes=schema.classes,
        architecture={
            "template": template.kind,
            "encoder": template.name,
            "encoder_sha256": template.sha256,
            "size": template.size,
            "beside": None if beside is None else {"encoder": beside.name, "encoder_sha256": beside.sha256},
            "stages": blocks - 1 - (beside is not None),
            "weighed": [{"template": t.kind, "encoder": t.name, "size": t.size, "log_loss": loss} for t, loss in weighed],
            "parameters": count_parameters(onnx.load_from_string(compiled.truth).graph),
            "macs": template.macs + (0 if beside is None else beside.macs),
            "bytes": min((c.bytes for c in kept), default=len(compiled.truth)),
        },
        generator={
            "name": generated.generator,
            "losses": generated.losses,
            "strength": None if generated.strength is None else asdict(generated.strength),
            "chosen_by": chosen_by,
            "finetune": None,
        },
        score=asdict(generated.scores),
        seed=seed,
        variants=tuple(Variant(c.target, c.backend, c.precision, c.path, c.front, c.checked, c.bytes) for c in kept),
        versions={"python": platform.python_version(), **{tool: version(tool) for tool in (*TOOLS, "pillow")}},
    )


def picture_package_files(
    manifest: Manifest, generated: PicturesGenerated, compiled: Compiled, sheet: bytes | None, notes: Sequence[str]
) -> dict[str, bytes]:
    """Contents of the package by path, the manifest with their checksums last.

    Args:
        sheet: a contact sheet of predictions as PNG; None where there is no picture to show.
    """
    card = _card(manifest, compiled.candidates, sheet is not None, notes)
    own = {HEAD: generated.head.to_bytes(manifest.classes), CARD: card.encode()}
    if len(generated.truth):
        own[REPORT] = draw_report(generated.held_out, generated.truth, manifest.classes, SHOWN, "picture").encode()
    if sheet is not None:
        own[SHEET] = sheet
    checks: dict[str, Any] = {"generation_seconds": generated.seconds, "frontier": []}
    return sealed_files(manifest, own, compiled, checks)


def _card(manifest: Manifest, candidates: Sequence[Candidate], shown: bool, notes: Sequence[str]) -> str:
    """MODEL_CARD.md: the manifest in words, for people."""
    score: Mapping[str, Any] = manifest.score["child"]
    measured = score["value"] is not None
    pictures = [f"![Held-out predictions]({REPORT})", ""] if measured else []
    if shown:
        pictures += [f"![The surest and the worst held-out predictions]({SHEET})", ""]
    unmeasured = [
        "Nothing is known of how good it is, for there was no picture to measure it on: try it on some whose class you know."
    ]
    architecture, generator = manifest.architecture, manifest.generator
    names = ", ".join(safe(name) for name in manifest.classes[:MOST_CLASSES])
    more = ", ..." if len(manifest.classes) > MOST_CLASSES else ""
    told = [f"{safe(name)}: {safe(meaning, 300)}" for name, meaning in manifest.requirement.meanings.items()]
    size, beside = architecture["size"], architecture["beside"]
    network = network_name(architecture["template"], safe(architecture["encoder"]), beside and beside["encoder"])
    learnt = LEARNT[architecture["template"]] + (f"; the trunk beside it {TRUNK_LEARNT}" if beside else "")
    return "\n".join(
        [
            f"# Tells {SHOWN}",
            "",
            safe(manifest.requirement.sentence, 400),
            "",
            *pictures,
            "## How good it is",
            "",
            *(score_lines(manifest, "pictures without the classes' names", "picture") if measured else unmeasured),
            "",
            "## What it takes and gives",
            "",
            f"Pictures of any size and mode that Pillow reads; each is squashed to {size} x {size} pixels. On a device it "
            f"takes those as bytes, height x width x red, green and blue. It gives one of {len(manifest.classes)} classes "
            f"({names}{more}) and a probability for each.",
            *(["", "What the classes mean:", "", *(f"* {line}" for line in told)] if told else []),
            "",
            "## How it was made",
            "",
            f"* Generator: {generator['name']} (seed {manifest.seed}): {HOW[generator['name']]}; nothing was trained for it.",
            f"* Architecture: {network}, {architecture['parameters']:,} parameters, {architecture['macs'] / 1e6:,.0f} million "
            "multiply-accumulates a picture.",
            *_weighed(architecture["weighed"]),
            "",
            "## Variants",
            "",
            *variant_lines(candidates),
            "",
            *_firmware([c.path for c in candidates if c.kept and c.backend == "c"], size),
            "## What to mind",
            "",
            "* A picture that belongs to no class is given one all the same: look at its probability.",
            f"* {learnt}, with what they show and what they don't.",
            *(f"* {safe(note, 500)}" for note in notes),
            "",
        ]
    )


def _firmware(folders: Sequence[str], size: int) -> list[str]:
    """What to do with C for microcontrollers, which lies in these folders of the package; nothing where there is none."""
    if not folders:
        return []
    places = spoken([f"`{folder}`" for folder in folders], "or")
    return [
        f"For a microcontroller: compile `model.c` of {places} into your firmware, "
        "and include `model.h` beside it, which shows the call and names the classes in their order. `model_run` takes "
        f"{size} x {size} x 3 bytes (`uint8_t`): rows from the top, each place as red, green and blue. Bring the whole picture "
        "to that as Pillow's bilinear `resize` does, each place a mean of the pixels there; every n-th pixel instead is "
        "another picture than it learnt from.",
        "",
    ]


def _weighed(weighed: Sequence[Mapping[str, Any]]) -> list[str]:
    """What held-out pictures said of each template that they were asked of."""
    told = [f"{safe(sized_name(w['template'], w['encoder'], w['size']))} {figure(w['log_loss'])}" for w in weighed]
    return [f"* Sizes, by log loss on held-out pictures: {', '.join(told)}."] if told else []
