"""The same line for pictures: classes named or shown, a frozen backbone, an emitted head, compiled and checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
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
from modelgpt_edge.picture_names import Spoken, read_names
from modelgpt_edge.picture_templates import Choice, find_templates
from modelgpt_edge.pictures.sheet import contact_sheet
from modelgpt_edge.report import text_report
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.image_rules import write_picture_requirement
from modelgpt_edge.requirement.picture_classes import as_the_model_has
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
        sheet: what it said of held-out pictures or of the test's, as PNG; None where there were none.
    """

    template: PictureTemplate
    pictures: NDArray[np.uint8]
    channels: Sequence[Floats]
    labels: NDArray[np.int32]
    generated: PicturesGenerated
    sheet: bytes | None


@dataclass(frozen=True)
class Given:
    """The user's pictures, none of them read: the labelled ones, the test's, and those without labels; None where not given."""

    labelled: PictureSet | None
    test: PictureSet | None
    unlabelled: PictureSet | None


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
        usable = backends_of(target, backends)
        if target.sm is not None:
            require_toolchain(target, usable)  # told before any work
    without = [name for name in classes if name not in known]
    given = _given(request, found, classes)
    choice = find_templates(request.encoder, request.size, without, targets, limits)
    notes = [*requirement.notes, *([choice.why] if choice.why else [])]
    with ThreadPoolExecutor(1) as aside:
        # A network of their own reads names; pictures are read and embedded meanwhile.
        names = aside.submit(read_names, choice.templates[0], requirement, without)

        def make(template: PictureTemplate) -> Made:
            return _make(request, requirement, template, names, given, notes, progress)

        weighed = found is not None and request.generator is None
        made, compiled = _first_that_fits(choice, make, requirement, targets, backends, request.seed, weighed, notes, progress)
    generated = made.generated
    notes += [*compiled.notes, *_remarks(generated)]
    progress("writing", 0)
    chosen_by = "user" if request.generator is not None else "guard" if len(made.labels) else "words"
    manifest = describe_pictures(requirement, made.template, generated, compiled, request.seed, chosen_by)
    write_package(place, picture_package_files(manifest, generated, compiled, made.sheet, notes), force)
    report = text_report(place, manifest, compiled, generated.seconds, tuple(notes), time.perf_counter() - start)
    return manifest, report


def _given(request: Request, found: PictureSet | None, classes: Sequence[str]) -> Given:
    """The user's pictures, notes on the test's and the unlabelled ones by what these are; InputError as of `open_pictures`."""
    test = unlabelled = None
    if request.test is not None:
        test = as_the_model_has(open_pictures(request.test, request.label), classes)
    if request.unlabelled is not None:
        unlabelled = open_pictures(request.unlabelled, labelled=False)
    return Given(found, test, unlabelled)


def _first_that_fits(
    choice: Choice,
    make: Callable[[PictureTemplate], Made],
    requirement: Requirement,
    targets: tuple[Target, ...],
    backends: tuple[str, ...],
    seed: int,
    weighed: bool,
    notes: list[str],
    progress: Progress,
) -> tuple[Made, Compiled]:
    """The first template, by the order in which they are worth trying, whose compiled forms fit; BudgetError for none.

    Args:
        weighed: whether held-out pictures may say which is worth it most.
    """
    templates = choice.templates
    ready: dict[PictureTemplate, Made] = {}
    if choice.first is not None and len(templates) > 1 and weighed:
        ready = {template: make(template) for template in templates}
        begin = choice.first([ready[template].generated.row_losses for template in templates])
        if begin:
            notes.append(f"Held-out pictures favour {templates[begin].name} at {templates[begin].size} pixels: it is taken.")
        templates = templates[begin:]
    for template in templates[:-1]:
        made = ready.get(template) or make(template)
        try:
            return made, _compile(made, requirement, targets, backends, seed, progress)
        except BudgetError as error:
            notes.append(f"{template.name} at {template.size} pixels doesn't fit ({error.reason}): a smaller one is taken.")
    made = ready.get(templates[-1]) or make(templates[-1])
    return made, _compile(made, requirement, targets, backends, seed, progress)


def _make(
    request: Request,
    requirement: Requirement,
    template: PictureTemplate,
    names: Future[Spoken],
    given: Given,
    notes: list[str],
    progress: Progress,
) -> Made:
    """A head on a template, scored."""
    classes, size = requirement.schema.classes, template.size

    def told(share: float) -> None:
        progress("embedding", share)

    pictures, labels = np.empty((0, size, size, 3), np.uint8), np.empty(0, np.int32)
    if given.labelled is not None:
        read = read_set(given.labelled, size, progress, classes, seed=request.seed)
        pictures, labels = read.pictures, read.labels
        notes += [note for note in read.notes if note not in notes]
    channels = template.channels(pictures, progress=told)
    around = None
    if given.unlabelled is not None:
        unlabelled = read_set(given.unlabelled, size, progress, seed=request.seed)
        notes += [note for note in _of("unlabelled pictures", unlabelled.notes) if note not in notes]
        around = template.channels(unlabelled.pictures, progress=told)
    said = names.result() if template.classifier is not None else Spoken()
    notes += [note for note in said.notes if note not in notes]
    generated = generate_pictures(
        channels,
        labels,
        said.prior,
        len(classes),
        request.seed,
        request.generator,
        around,
        template.linear,
        template.rooted,
        progress,
    )
    if given.test is None:
        sheet = _sheet(pictures[generated.places], generated, classes)
    else:
        test = read_set(given.test, size, progress, classes)
        notes += [note for note in _of("test pictures", test.notes) if note not in notes]
        generated = scored(generated, template.channels(test.pictures, progress=told), test.labels, "the test pictures")
        sheet = _sheet(test.pictures, generated, classes)
    return Made(template, pictures, channels, labels, generated, sheet)


def _compile(
    made: Made,
    requirement: Requirement,
    targets: tuple[Target, ...],
    backends: tuple[str, ...],
    seed: int,
    progress: Progress,
) -> Compiled:
    template, generated, limits = made.template, made.generated, requirement.limits
    pictures, channels, labels = made.pictures, made.channels, made.labels if len(made.labels) else None
    if labels is None:
        pictures = sample_pictures(template.size)
        channels = template.channels(pictures)
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


def _calibration(pictures: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Pictures in random order, the first of which int8's ranges are found on."""
    order: NDArray[np.intp] = np.random.default_rng(seed).permutation(len(pictures))
    return pictures[order[:256]]


def _of(what: str, notes: Sequence[str]) -> list[str]:
    return [f"Of the {what}: {note[0].lower()}{note[1:]}" for note in notes]


def _sheet(pictures: NDArray[np.uint8], generated: PicturesGenerated, classes: Sequence[str]) -> bytes | None:
    """What was said of pictures (T, S, S, 3) whose classes are `generated.truth`; None of no picture."""
    if not len(pictures):
        return None
    logits = generated.held_out - generated.held_out.max(1, keepdims=True)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return contact_sheet(pictures, generated.truth, probabilities, classes)


def _remarks(generated: PicturesGenerated) -> list[str]:
    scores = generated.scores
    if scores.child.value is None:
        return ["Nothing was given to measure the model on: try it on pictures whose class you know, or give some by --data."]
    if scores.child.others["log_loss"] >= scores.baseline.others["log_loss"]:
        what = "On held-out pictures the model is no better than always saying the commonest class"
        return [f"{what}: they may not tell the label."]
    return []
