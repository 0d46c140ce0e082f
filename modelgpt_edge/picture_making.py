"""From an understood task of pictures to a model that fits: templates weighed, heads made on them, scored, and compiled.

What was asked for is read elsewhere, before, and nothing is written here.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.architecture.image.samples import sample_pictures
from modelgpt_edge.architecture.image.template import PictureTemplate
from modelgpt_edge.child import Floats
from modelgpt_edge.compile.compiler import Compiled
from modelgpt_edge.compile.image.compiler import compile_pictures
from modelgpt_edge.compile.image.source import PictureSource
from modelgpt_edge.data.picture_reading import Progress, read_set
from modelgpt_edge.data.picture_sets import PictureSet
from modelgpt_edge.errors import BudgetError
from modelgpt_edge.parameters.image.generate import PicturesGenerated, generate_pictures, scored
from modelgpt_edge.parameters.image.space import Traits
from modelgpt_edge.parameters.text.judging import typical
from modelgpt_edge.picture_names import Spoken
from modelgpt_edge.picture_templates import Choice, called
from modelgpt_edge.pictures.sheet import contact_sheet
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.targets.target import Target

# Pictures that int8's ranges are found on, at most.
CALIBRATION = 256


@dataclass(frozen=True)
class Given:
    """The user's pictures, none of them read: the labelled ones, the test's, and those without labels; None where not given."""

    labelled: PictureSet | None
    test: PictureSet | None
    unlabelled: PictureSet | None


@dataclass(frozen=True, eq=False)
class Job:
    """What is to be built, whatever the template.

    Attributes:
        backends: those asked for by name; empty for each target's usual ones.
        names: what the classes' names say, which is read meanwhile.
    """

    request: Request
    requirement: Requirement
    targets: tuple[Target, ...]
    backends: tuple[str, ...]
    given: Given
    names: Future[Spoken]
    progress: Progress

    def embedding(self, share: float) -> None:
        """Tell how far the template is with the pictures."""
        self.progress("embedding", share)


@dataclass(frozen=True, eq=False)
class Made:
    """A head on a template, before it is compiled.

    Attributes:
        pictures: (N, S, S, 3) that were labelled; channels: what the template says of them; labels: class positions (N,).
        notes: what the user should know of the pictures and names that it was made from.
    """

    template: PictureTemplate
    pictures: NDArray[np.uint8]
    channels: Sequence[Floats]
    labels: NDArray[np.int32]
    generated: PicturesGenerated
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Scored:
    """A model with the score that is told of it.

    Attributes:
        generated: scored on the user's test pictures where there are some.
        sheet: a contact sheet (PNG) of what was scored; None where there is no picture to show.
        notes: what the user should know of the test pictures.
    """

    generated: PicturesGenerated
    sheet: bytes | None
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Taken:
    """The model that fits.

    Attributes:
        weighed: of each template that held-out pictures were asked of, its mean log loss on them.
        notes: why this template and no other; those on what it was made from and scored on are of `made` and `scored`.
    """

    made: Made
    scored: Scored
    compiled: Compiled
    weighed: tuple[tuple[PictureTemplate, float], ...]
    notes: tuple[str, ...]


def take_first_that_fits(job: Job, choice: Choice) -> Taken:
    """The first template, by the order in which they are worth trying, whose compiled forms fit; BudgetError for none."""
    templates, why = choice.templates, ""
    notes: list[str] = []
    ready: dict[PictureTemplate, Made] = {}
    weighed: tuple[tuple[PictureTemplate, float], ...] = ()
    # Held-out pictures choose, unless the user chose what they would be held out from.
    counts = {} if job.given.labelled is None else job.given.labelled.counts
    enough = typical(np.array(list(counts.values()))) >= choice.least
    if choice.first is not None and len(templates) > 1 and enough and job.request.generator is None:
        ready = {template: make_head(job, template) for template in templates}
        losses = [ready[template].generated.row_losses for template in templates]
        weighed = tuple((template, float(own.mean(dtype=np.float64))) for template, own in zip(templates, losses))
        begin, why = choice.begin(losses)
        templates = templates[begin:]
    for template in templates[:-1]:
        made = ready.get(template) or make_head(job, template)
        try:
            return _finish(job, made, weighed, (*notes, *([why] if why else [])))
        except BudgetError as error:
            notes.append(f"{called(template)} doesn't fit ({error.reason}): a smaller one is taken.")
            why = ""
    made = ready.get(templates[-1]) or make_head(job, templates[-1])
    return _finish(job, made, weighed, (*notes, *([why] if why else [])))


def make_head(job: Job, template: PictureTemplate) -> Made:
    """A head on a template, scored by held-out pictures where there are any."""
    request, given, classes, size = job.request, job.given, job.requirement.schema.classes, template.size
    pictures, labels = np.empty((0, size, size, 3), np.uint8), np.empty(0, np.int32)
    notes: dict[str, None] = {}
    if given.labelled is not None:
        read = read_set(given.labelled, size, job.progress, classes, seed=request.seed)
        pictures, labels = read.pictures, read.labels
        notes |= dict.fromkeys(read.notes)
    channels = template.channels(pictures, progress=job.embedding)
    around = None
    if given.unlabelled is not None:
        unlabelled = read_set(given.unlabelled, size, job.progress, seed=request.seed)
        notes |= dict.fromkeys(_of("unlabelled pictures", unlabelled.notes))
        around = template.channels(unlabelled.pictures, progress=job.embedding)
    said = job.names.result() if template.classifier is not None else Spoken()
    notes |= dict.fromkeys(said.notes)
    generated = generate_pictures(
        channels,
        labels,
        said.prior,
        len(classes),
        seed=request.seed,
        generator=request.generator,
        around=around,
        traits=Traits.of(template),
        progress=job.progress,
    )
    return Made(template, pictures, channels, labels, generated, tuple(notes))


def score_made(job: Job, made: Made) -> Scored:
    """The model with its score; InputError where too many test pictures can't be read."""
    classes, generated = job.requirement.schema.classes, made.generated
    pictures = made.pictures[generated.places]
    notes: list[str] = []
    if job.given.test is not None:
        test = read_set(job.given.test, made.template.size, job.progress, classes)
        notes += _of("test pictures", test.notes)
        channels = made.template.channels(test.pictures, progress=job.embedding)
        pictures, generated = test.pictures, scored(generated, channels, test.labels, "the test pictures")
    return Scored(generated, _sheet(pictures, generated, classes), tuple(notes))


def _finish(job: Job, made: Made, weighed: tuple[tuple[PictureTemplate, float], ...], notes: tuple[str, ...]) -> Taken:
    """A head scored, then compiled: test pictures that can't be read are told before anything is compiled."""
    told = score_made(job, made)
    return Taken(made, told, _compile(job, made), weighed, notes)


def _compile(job: Job, made: Made) -> Compiled:
    template, generated, limits = made.template, made.generated, job.requirement.limits
    pictures, channels, labels = made.pictures, made.channels, made.labels if len(made.labels) else None
    if labels is None:
        pictures = sample_pictures(template.size)
        channels = template.channels(pictures)
    order = np.random.default_rng(job.request.seed).permutation(len(pictures))
    source = PictureSource(
        template,
        generated.space,
        generated.head,
        job.requirement.schema.classes,
        pictures[order[:CALIBRATION]],
        limits.flash_bytes is not None or any(target.flash_bytes is not None for target in job.targets),
        version("modelgpt-edge"),
    )
    return compile_pictures(source, pictures, channels, labels, job.targets, limits, job.backends, job.progress)


def _of(what: str, notes: Sequence[str]) -> list[str]:
    return [f"Of the {what}: {note[0].lower()}{note[1:]}" for note in notes]


def _sheet(pictures: NDArray[np.uint8], generated: PicturesGenerated, classes: Sequence[str]) -> bytes | None:
    """What was said of pictures (T, S, S, 3) whose classes are `generated.truth`; None of no picture."""
    if not len(pictures):
        return None
    logits = generated.held_out - generated.held_out.max(1, keepdims=True)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return contact_sheet(pictures, generated.truth, probabilities, classes)
