"""What goes into the package of a text model: its manifest, its model card, and every file's content by its path."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from modelgpt_edge.architecture.text.files import EncoderFiles
from modelgpt_edge.compile.candidate import Candidate
from modelgpt_edge.compile.card import safe, score_lines, variant_lines
from modelgpt_edge.compile.compiler import Compiled
from modelgpt_edge.compile.contents import TOOLS, sealed_files
from modelgpt_edge.compile.picture import draw_report
from modelgpt_edge.manifest import CARD, REPORT, Manifest, Variant
from modelgpt_edge.parameters.text.generate import TextGenerated
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.requirement.wording import counted
from modelgpt_edge.text_head import HEAD
from modelgpt_edge.tokens import TOKENIZER

# What a multiply-accumulate count is given for: about a sentence.
TOKENS = 16
MOST_CLASSES = 10
HOW = {
    "words": "the classes' names, as the encoder understands them",
    "linear": "a multinomial logistic head on the encoder's embeddings of the examples, solved to convergence",
    "floor": "a multinomial logistic head, solved to convergence with what the classes' names say as its prior mean",
    "lora": "low-rank updates of the encoder's attention, emitted for the task by a generator that was trained on others, "
    "and a head by what the classes' names say, as a prior mean where there are examples",
}


def describe_text(
    requirement: Requirement,
    columns: tuple[str, ...],
    files: EncoderFiles,
    generated: TextGenerated,
    compiled: Compiled,
    seed: int,
    chosen_by: str,
) -> Manifest:
    """The manifest of a build, checksums not yet in it.

    Args:
        columns: names of the table's columns but the label.
        chosen_by: who chose the generator: ``guard``, ``user``, ``usual`` where held-out examples were too few to choose by, or
            ``words`` where there were none.
    """
    kept = [c for c in compiled.candidates if c.kept]
    schema = requirement.schema
    return Manifest(
        requirement=requirement,
        columns=columns,
        inputs=tuple(c.name for c in schema.columns),
        vocabularies=(),
        classes=schema.classes,
        architecture={
            "template": generated.encoder.template,
            "encoder": files.name,
            "encoder_sha256": files.sha256,
            "tokens": files.length,
            "words": files.shape.words,
            "parameters": files.shape.parameters + generated.head.weight.size + generated.head.bias.size,
            "macs": files.shape.macs(TOKENS),
            "bytes": min((c.bytes for c in kept), default=len(compiled.truth)),
        },
        generator={
            "name": generated.generator,
            "losses": generated.losses,
            "strength": None if generated.strength is None else asdict(generated.strength),
            "adapter": generated.adapter,
            "chosen_by": chosen_by,
            "finetune": None,
        },
        score=asdict(generated.scores),
        seed=seed,
        variants=tuple(Variant(c.target, c.backend, c.precision, c.path, c.front, c.checked, c.bytes) for c in kept),
        versions={"python": platform.python_version(), **{tool: version(tool) for tool in (*TOOLS, "tokenizers")}},
    )


def text_package_files(
    manifest: Manifest, files: EncoderFiles, generated: TextGenerated, compiled: Compiled, notes: Sequence[str]
) -> dict[str, bytes]:
    """Contents of the package by path, the manifest with their checksums last."""
    own = {
        HEAD: generated.head.to_bytes(manifest.classes),
        TOKENIZER: files.tokenizer,
        CARD: _card(manifest, compiled.candidates, notes).encode(),
    }
    if len(generated.truth):
        label = manifest.requirement.schema.label.name
        own[REPORT] = draw_report(generated.held_out, generated.truth, manifest.classes, label).encode()
    checks: dict[str, Any] = {"generation_seconds": generated.seconds, "frontier": []}
    return sealed_files(manifest, own, compiled, checks)


def _card(manifest: Manifest, candidates: Sequence[Candidate], notes: Sequence[str]) -> str:
    """MODEL_CARD.md: the manifest in words, for people."""
    score: Mapping[str, Any] = manifest.score["child"]
    measured = score["value"] is not None
    picture = [f"![Held-out predictions]({REPORT})", ""] if measured else []
    unmeasured = ["It was built without examples, so nothing is known of how good it is: try it on texts whose class you know."]
    architecture, generator = manifest.architecture, manifest.generator
    names = ", ".join(safe(name) for name in manifest.classes[:MOST_CLASSES])
    more = ", ..." if len(manifest.classes) > MOST_CLASSES else ""
    told = [f"{safe(name)}: {safe(meaning, 300)}" for name, meaning in manifest.requirement.meanings.items()]
    made = [
        f"Generator: {generator['name']} (seed {manifest.seed}): {HOW[generator['name']]}; nothing was trained for it.",
        f"Architecture: {architecture['template']} {safe(architecture['encoder'])}, {architecture['parameters']:,} parameters, "
        f"at most {counted(architecture['tokens'], 'token')} a text.",
    ]
    return "\n".join(
        [
            f"# Tells {safe(manifest.requirement.schema.label.name)} of texts",
            "",
            safe(manifest.requirement.sentence, 400),
            "",
            *picture,
            "## How good it is",
            "",
            *(score_lines(manifest, "examples without the classes' names") if measured else unmeasured),
            "",
            "## What it takes and gives",
            "",
            f"Texts of any length, in the column {safe(manifest.inputs[0])} or as strings; what is beyond "
            f"{architecture['tokens']} tokens isn't read. It gives one of {len(manifest.classes)} classes ({names}{more}) and "
            "a probability for each.",
            *(["", "What the classes mean:", "", *(f"* {line}" for line in told)] if told else []),
            "",
            "## How it was made",
            "",
            *(f"* {line}" for line in made),
            "",
            "## Variants",
            "",
            *variant_lines(candidates),
            "",
            "## What to mind",
            "",
            "* A text that belongs to no class is given one all the same: look at its probability.",
            "* It understands the languages that its encoder was trained on.",
            *(f"* {safe(note, 500)}" for note in notes),
            "",
        ]
    )
