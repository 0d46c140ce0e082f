"""The same line for texts: classes named or shown, a frozen encoder, an emitted head, compiled and checked."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.architecture.text.files import EncoderFiles
from modelgpt_edge.build_options import check_generator
from modelgpt_edge.compile.compiler import Compiled
from modelgpt_edge.compile.package import write_package
from modelgpt_edge.compile.text.compiler import compile_text
from modelgpt_edge.compile.text.contents import describe_text, text_package_files
from modelgpt_edge.compile.text.source import TextSource
from modelgpt_edge.data.cells import read_texts
from modelgpt_edge.data.profile import Profile
from modelgpt_edge.data.raw import Chunk
from modelgpt_edge.data.sources import open_source
from modelgpt_edge.errors import BudgetError, InputError, nearest
from modelgpt_edge.manifest import Manifest
from modelgpt_edge.parameters.score import classification_score
from modelgpt_edge.parameters.text.generate import GENERATORS, TextGenerated, TextScores, generate_text, shares_of
from modelgpt_edge.parameters.text.prior import texts_about
from modelgpt_edge.report import text_report
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.drivers.write import in_own_words
from modelgpt_edge.requirement.none_labels import read_labels
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.requirement.text_columns import TextColumns
from modelgpt_edge.requirement.text_rules import usable_rows, write_text_requirement
from modelgpt_edge.requirement.wording import counted, shown, spoken
from modelgpt_edge.targets.backends import backends_of, require_front, require_toolchain
from modelgpt_edge.targets.registry import find_target
from modelgpt_edge.targets.target import Target
from modelgpt_edge.text_templates import TextTemplate, find_teacher, most_flash, tiny_template, too_costly, too_large

Progress = Callable[[str, float], None]

FRONT = "tokens"  # of models of texts
SHOWN = 5  # classes that a message names
# The template's files, what was generated on it, and its compiled forms.
Made = tuple[EncoderFiles, TextGenerated, Compiled]


@dataclass(frozen=True)
class Texts:
    """Texts and their class positions (N,), -1 for a class that isn't known.

    Attributes:
        columns: the texts, and of pairs the second ones.
        strange: labels of those whose class isn't known.
    """

    columns: list[list[str]]
    labels: NDArray[np.int32]
    strange: tuple[str, ...] = ()


def build_texts(
    request: Request,
    found: TextColumns | None,
    profile: Profile | None,
    place: Path,
    backends: tuple[str, ...],
    force: bool,
    progress: Progress,
) -> tuple[Manifest, dict[str, Any]]:
    """Make a model of texts and write its package; the manifest and the report are returned.

    Args:
        found, profile: where texts and labels are, and what the file holds; None without data.
        place, backends, force, progress: as for `build`, whose errors these are.
    """
    start = time.perf_counter()
    check_generator(request.generator, GENERATORS)
    requirement = write_text_requirement(request, found, profile)
    targets = tuple(find_target(name) for name in requirement.targets)
    for target in targets:
        require_front(target, backends, FRONT)  # told before any work
    teacher, tiny = find_teacher(request.encoder)
    for target in targets:
        if target.sm is not None and not tiny:
            require_toolchain(target, backends_of(target, backends))
    requirement = in_own_words(requirement, request, profile, teacher.embed)
    schema = requirement.schema
    notes = list(requirement.notes)
    examples = Texts([[]], np.empty(0, np.int32))
    if profile is not None:
        examples = read_examples(requirement, profile.sample)
        notes += [*profile.notes, *_left_out(examples, profile)]
    test = None if request.test is None else _test_rows(request, requirement)
    notes += [] if test is None else _strange(test)
    flash = most_flash(targets, requirement.limits)
    its_own = request.generator == "lora"  # which no other template has
    why = "" if tiny or its_own else too_large(teacher.files, flash)
    made: Made | None = None
    if not tiny and not why:
        try:
            made = _make(request, requirement, TextTemplate(teacher), examples, test, targets, backends, progress)
        except BudgetError as error:
            if its_own:
                raise
            why = too_costly(error, teacher.files)
    if made is None:
        given = (examples.columns, examples.labels, schema.classes, requirement.meanings)
        template = tiny_template(teacher, *given, flash, request.seed, progress)
        made = _make(request, requirement, template, examples, test, targets, backends, progress)
        notes += [why] if why else []
    files, generated, compiled = made
    notes += [*compiled.notes, *_remarks(generated)]
    progress("writing", 0)
    columns = () if profile is None else tuple(c.name for c in profile.columns if c.name != schema.label.name)
    chosen_by = ("guard" if generated.enough else "usual") if len(examples.labels) else "words"
    if request.generator is not None and (len(examples.labels) or request.generator == "lora"):
        chosen_by = "user"
    manifest = describe_text(
        requirement,
        columns or tuple(c.name for c in schema.columns),
        files,
        generated,
        compiled,
        request.seed,
        chosen_by,
    )
    write_package(place, text_package_files(manifest, files, generated, compiled, notes), force)
    report = text_report(place, manifest, compiled, generated.seconds, tuple(notes), time.perf_counter() - start)
    return manifest, report


def _make(
    request: Request,
    requirement: Requirement,
    template: TextTemplate,
    examples: Texts,
    test: Texts | None,
    targets: tuple[Target, ...],
    backends: tuple[str, ...],
    progress: Progress,
) -> Made:
    """A head on a template, scored and compiled."""
    schema = requirement.schema
    texts, pairs = examples.columns if len(examples.columns) > 1 else (examples.columns[0], None)
    generated = generate_text(
        template.encoder,
        texts,
        examples.labels,
        schema.classes,
        requirement.meanings,
        request.seed,
        progress,
        request.generator,
        pairs,
        menu=template.menu,
        afresh=template.afresh,
    )
    generated = replace(generated, seconds=generated.seconds + template.seconds)
    if test is not None:
        generated = _scored(generated, test, f"the test table {Path(str(request.test)).name}")
    names = tuple(c.name for c in schema.columns)
    source = TextSource(generated.encoder, generated.head, schema.classes, version("modelgpt-edge"), names)
    known = len(examples.labels) > 0
    columns = examples.columns if known else [texts_about(schema.classes, requirement.meanings)]
    labels = examples.labels if known else None
    compiled = compile_text(source, columns, labels, targets, requirement.limits, backends, progress)
    return template.encoder.files, generated, compiled


def read_examples(requirement: Requirement, cells: Chunk) -> Texts:
    """The labelled texts among raw cells; a row without a text, one of a pair's two or a label is left out."""
    schema = requirement.schema
    places = {name: k for k, name in enumerate(schema.classes)}
    columns = [read_texts(cells[c.name]) for c in schema.columns]
    words = read_labels(cells[schema.label.name], schema.classes)
    kept = usable_rows(columns, words)
    if not kept:
        wanted = "a text" if len(columns) == 1 else "both texts"
        raise InputError(f"no row has {wanted} and a label", where="data", cure=f"Give rows with {wanted} and a label.")
    labels = np.array([places.get(words[i], -1) for i in kept], np.int32)
    strange = tuple(words[i] for i in kept if words[i] not in places)
    return Texts([[texts[i] for i in kept] for texts in columns], labels, strange)


def _left_out(examples: Texts, profile: Profile) -> list[str]:
    rows = len(next(iter(profile.sample.values())))
    notes = []
    if rows < profile.rows:
        notes.append(f"Of {profile.rows:,} rows a sample of {rows:,} is used.")
    if len(examples.labels) < rows:
        left = counted(rows - len(examples.labels), "row")
        wanted = "a text" if len(examples.columns) == 1 else "one of the two texts"
        notes.append(f"Left out for want of {wanted} or a label: {left}.")
    twice = len(examples.labels) - len(set(zip(*examples.columns)))
    if twice:
        notes.append(f"Texts that stand more than once: {counted(twice, 'row')}; a text may be held out and learnt at once.")
    return notes


def _test_rows(request: Request, requirement: Requirement) -> Texts:
    """The user's own test rows; classes never seen stay, and count as wrong, but where all are such.

    Raises:
        InputError: the table lacks a column, a text or a label, or every class of it is one that the model doesn't know.
    """
    source = open_source(request.test)
    schema = requirement.schema
    absent = next((c.name for c in (*schema.columns, schema.label) if c.name not in source.columns), None)
    if absent is not None:
        cure = nearest(absent, source.columns)
        raise InputError("the test table has no such column", where=f"--test {source.name}", seen=absent, cure=cure)
    parts = [read_examples(requirement, chunk) for chunk in source.chunks()]
    columns = [[text for texts in column for text in texts] for column in zip(*(part.columns for part in parts))]
    test = Texts(columns, np.concatenate([part.labels for part in parts]), tuple(w for part in parts for w in part.strange))
    if len(test.strange) == len(test.labels):
        cure = f"The model's are {_named(schema.classes)}: name classes as the table does, or give another table."
        where, seen = f"--test {source.name}, column {shown(schema.label.name)}", test.strange[0]
        raise InputError("no test row is of a class that the model knows", where=where, seen=seen, cure=cure)
    return test


def _strange(test: Texts) -> list[str]:
    """A note on test rows that no model of these classes can get right."""
    if not test.strange:
        return []
    names = _named([name for name, _ in Counter(test.strange).most_common()])
    of = f"{len(test.strange):,} of {counted(len(test.labels), 'row')}"
    return [f"Test rows of a class that the model doesn't know: {of} ({names}). They count as wrong."]


def _named(classes: Sequence[str]) -> str:
    few = [shown(name) for name in classes[:SHOWN]]
    return spoken(few) if len(few) == len(classes) else f"{', '.join(few)} and {len(classes) - len(few)} more"


def _scored(generated: TextGenerated, test: Texts, method: str) -> TextGenerated:
    """The model with its score on test rows; the others' are held-out ones still."""
    logits = generated.head.logits(generated.encoder.embed(*test.columns))
    child = classification_score(logits, test.labels, method)
    baseline = classification_score(shares_of(test.labels, logits.shape[1]), test.labels, method)
    linear = generated.scores.linear
    scores = TextScores(child, linear, baseline)
    return replace(generated, scores=scores, held_out=logits, truth=test.labels)


def _remarks(generated: TextGenerated) -> list[str]:
    scores = generated.scores
    if scores.child.value is None:
        return [
            "Nothing was given to measure the model on: try it on texts whose class you know, or give some by --data. Compiled "
            "forms were compared on texts made of the classes' names and on sample texts, where fp32 is clear about them."
        ]
    if scores.child.others["log_loss"] >= scores.baseline.others["log_loss"]:
        return [
            "On held-out texts the model is no better than always saying the commonest class: texts may not tell the label."
        ]
    return []
