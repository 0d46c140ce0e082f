"""The same line for pictures: classes named or shown, a frozen backbone, an emitted head, compiled and checked."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from modelgpt_edge.build_options import check_generator
from modelgpt_edge.compile.image.contents import describe_pictures, picture_package_files
from modelgpt_edge.compile.package import write_package
from modelgpt_edge.data.picture_reading import Progress
from modelgpt_edge.data.picture_sets import PictureSet, open_pictures
from modelgpt_edge.manifest import Manifest
from modelgpt_edge.parameters.image.generate import GENERATORS, PICTURES, PicturesGenerated
from modelgpt_edge.picture_making import Given, Job, take_first_that_fits
from modelgpt_edge.picture_names import read_names
from modelgpt_edge.picture_templates import find_templates
from modelgpt_edge.report import text_report
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.image_rules import write_picture_requirement
from modelgpt_edge.requirement.picture_classes import as_the_model_has
from modelgpt_edge.requirement.wording import shown, spoken
from modelgpt_edge.targets.backends import backends_of, require_toolchain
from modelgpt_edge.targets.registry import find_target

MOST_NAMED = 5
UNMEASURED = "There was nothing to measure the model on: try it on pictures whose class you know, or give some more by --data."
MOVED = "The unlabelled pictures moved what the names say. Leave --unlabelled out where they show much else than these classes."


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
    leaning = _leaning(request.generator, classes, {} if found is None else found.counts)
    given = _given(request, found, classes)
    choice = find_templates(request.encoder, request.size, without, targets, limits).able(request.generator)
    with ThreadPoolExecutor(1) as aside:
        # A network of their own reads names; pictures are read and embedded meanwhile.
        names = aside.submit(read_names, choice.templates[0], requirement, without, leaning)
        job = Job(request, requirement, targets, backends, given, names, progress)
        taken = take_first_that_fits(job, choice)
    made, compiled, generated = taken.made, taken.compiled, taken.scored.generated
    why = [choice.why] if choice.why else []
    told = [*requirement.notes, *why, *made.notes, *taken.notes, *taken.scored.notes]
    notes = [*told, *compiled.notes, *_remarks(generated, classes)]
    progress("writing", 0)
    chosen_by = "user" if request.generator is not None else "guard" if len(made.labels) else "words"
    manifest = describe_pictures(requirement, made.template, taken.weighed, generated, compiled, request.seed, chosen_by)
    write_package(place, picture_package_files(manifest, generated, compiled, taken.scored.sheet, notes), force)
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


def _leaning(generator: str | None, classes: Sequence[str], counts: Mapping[str, int]) -> list[str]:
    """Classes whose names count: with pictures enough, held-out ones tell how far a name is to be trusted."""
    if generator == "linear":
        return []
    return [name for name in classes if generator == "words" or counts.get(name, 0) < PICTURES.enough]


def _remarks(generated: PicturesGenerated, classes: Sequence[str]) -> list[str]:
    scores = generated.scores
    notes = [MOVED] if generated.moved else []
    if scores.child.value is None:
        return [*notes, UNMEASURED]
    seen = set(generated.truth.tolist())
    unseen = [shown(name) for place, name in enumerate(classes) if place not in seen]
    if unseen:
        named = spoken(unseen) if len(unseen) <= MOST_NAMED else f"{', '.join(unseen[:MOST_NAMED])} and others"
        notes.append(f"Nothing is known of how well {named} is told: the score is of pictures of the other classes.")
    constant = scores.baseline.others.get("log_loss", float(np.log(len(classes))))
    if scores.child.others["log_loss"] >= constant:
        than = "guessing" if scores.baseline.value is None else "always saying the commonest class"
        notes.append(f"On held-out pictures the model is no better than {than}: they may not tell the label.")
    return notes
