"""build(): the whole line, from a request to a checked package, one stage after the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelgpt_edge.build_options import check_generator, check_options
from modelgpt_edge.compile.package import check_place
from modelgpt_edge.errors import InputError
from modelgpt_edge.limits import NO_LIMITS, Limits
from modelgpt_edge.looking import look
from modelgpt_edge.manifest import Manifest
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.classes_asked import check_classes
from modelgpt_edge.targets.backends import backends_of
from modelgpt_edge.targets.registry import find_target

if TYPE_CHECKING:
    from modelgpt_edge.frontier import Point
    from modelgpt_edge.runtime.model import Model
    from modelgpt_edge.table_pipeline import Understood

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Built:
    """A finished build.

    Attributes:
        path: the package's folder.
        manifest: what it holds.
        report: what happened, as JSON values: what `build --json` prints.
    """

    path: Path
    manifest: Manifest
    report: dict[str, Any]

    def load(self, variant: str | None = None) -> Model:
        """The model, ready to predict."""
        from modelgpt_edge.runtime.model import load

        return load(self.path, variant)


def build(
    task: str,
    data: object = None,
    *,
    label: str | None = None,
    kind: str | None = None,
    classes: Sequence[str] | Mapping[str, str] = (),
    text: str | Sequence[str] = (),
    encoder: str | None = None,
    modality: str | None = None,
    size: int | None = None,
    unlabelled: object = None,
    target: str | Sequence[str] = (),
    backend: str | Sequence[str] = (),
    out: str | os.PathLike[str] = "model.edge",
    test: object = None,
    seed: int = 0,
    draws: int = 4,
    generator: str | None = None,
    finetune: float = 0.0,
    limits: Limits = NO_LIMITS,
    driver: str = "rules",
    private: bool = False,
    force: bool = False,
    progress: Progress = lambda stage, share: None,
) -> Built:
    """Make a model for a task, compile it for targets, check it, and write it as a package.

    Args:
        task: what the model shall do, in a sentence.
        data: a table with labels: a path (CSV, Parquet, JSONL, also gzipped), DataFrame, list of dicts, dict of columns,
            or 2-D array. Or labelled pictures: a folder or zip of class folders, a table of paths and labels, pairs of pictures
            and labels, or a dict of classes and their pictures. None to make a model from the names of `classes` alone.
        label: the label column; found where not given, and the report says how.
        kind: ``classification`` or ``regression``; told from task and data where not given.
        classes: of texts or pictures: names of classes, or a dict of names and what they mean; the data's come besides.
        text: the column that holds the texts; told from the data where not given, and it is a table where there is none.
        encoder: folder or hub name of the sentence encoder of a model of texts; file of the backbone of one of pictures, a file
            of ONNX, or ``timm:NAME``; the usual one where not given. ``tiny`` takes the tiny trunk instead, and of texts, as
            ``tiny:NAME`` too, makes a table of the sentence encoder's words.
        modality: ``table``, ``text`` or ``image``; told from the data, or from the task where there is none.
        size: pixels of a side of what a model of pictures takes in: 224, 128 or 96; chosen where not given.
        unlabelled: pictures like those that the model will see, as `data`; no label of theirs is used.
        target: names of devices; those that the task names where not given, or else ``x86``.
        backend: names of backends to compile by; each target's usual ones where not given.
        out: folder to write.
        test: labelled rows for the score, as `data`; cross-validated where not given.
        seed: of every random draw; the same seed on the same machine gives the same weights to the bit.
        draws: of hidden units that the model is distilled from, 1, 2 or 4; fewer are quicker.
        generator: ``floor``, ``linear`` or ``trained`` to overrule the guard, which ships the better of the first two; of texts
            ``words`` (classes' names alone), ``linear`` (examples alone), ``floor`` (both) or ``lora`` (the same on an encoder
            that was adapted to the task).
        finetune: seconds to fine-tune the generated model for; the better of before and after on held-out rows ships. How far
            it gets depends on the machine and its load, so the weights are no longer the seed's alone.
        limits: what the model may cost on the device; each overrules what the task says, and a device's own count besides.
        driver: who helps to understand the task: ``rules`` alone, or a language model besides: ``openai:BASE_URL#MODEL``,
            ``transformers:PATH_OR_NAME``, ``gguf:FILE``. What it answers is checked, and the rules stand where it fails.
        private: show the language model no value of any row: names of columns, types and counts only.
        force: replace a package that lies at `out`.
        progress: called with a stage's name and the share of it that is done.

    Raises:
        ModelgptEdgeError: with what is wrong, where, the value seen and the cure; nothing is written then.
    """
    place = Path(out)
    check_place(place, force)
    check_options(seed, draws, finetune)
    backends = _listed(backend)
    request = Request(
        task=task,
        data=data,
        label=label,
        kind=kind,
        test=test,
        targets=_names(target),
        seed=seed,
        draws=draws,
        generator=generator,
        limits=limits,
        classes=check_classes(classes),
        texts=_listed(text),
        encoder=encoder,
        modality=modality,
        size=size,
        unlabelled=unlabelled,
        driver=driver,
        private=private,
    )

    progress("reading", 0)
    looked = look(request)
    if looked.modality != "table" and finetune:
        what = "texts" if looked.modality == "text" else "pictures"
        cure = "Leave it out: give more examples instead."
        raise InputError(f"models of {what} aren't fine-tuned", where="--finetune", seen=finetune, cure=cure)
    if looked.modality == "image":
        from modelgpt_edge.image_pipeline import build_pictures

        manifest, report = build_pictures(request, looked.pictures, place, backends, force, progress)
        return Built(place, manifest, report)
    if looked.modality == "text":
        from modelgpt_edge.text_pipeline import build_texts

        manifest, report = build_texts(request, looked.texts, looked.profile, place, backends, force, progress)
        return Built(place, manifest, report)
    from modelgpt_edge.parameters.emissions import GENERATORS
    from modelgpt_edge.table_pipeline import build_table, understand

    check_generator(generator, GENERATORS)
    manifest, report = build_table(request, understand(request, looked), place, backends, float(finetune), force, progress)
    return Built(place, manifest, report)


def plan(
    task: str,
    data: object,
    *,
    label: str | None = None,
    kind: str | None = None,
    target: str | Sequence[str] = (),
    backend: str | Sequence[str] = (),
    draws: int = 4,
    limits: Limits = NO_LIMITS,
    driver: str = "rules",
    private: bool = False,
) -> tuple[Understood, list[Point]]:
    """What a build would be like: the requirement, and every size with its estimated cost; nothing is generated or written.

    Args and errors are those of `build`; sizes that don't fit are told, not raised.
    """
    from modelgpt_edge.frontier import make_frontier
    from modelgpt_edge.table_pipeline import understand

    check_options(0, draws, 0)
    request = Request(
        task=task,
        data=data,
        label=label,
        kind=kind,
        targets=_names(target),
        draws=draws,
        limits=limits,
        driver=driver,
        private=private,
    )
    looked = look(request)
    if looked.modality != "table":
        raise only_tables(looked.modality)
    understood = understand(request, looked)
    for device in understood.targets:
        backends_of(device, _listed(backend))
    return understood, make_frontier(understood.sizes, {}, None, None)


def only_tables(modality: str) -> InputError:
    """The error where sizes of another kind of model are to be weighed."""
    cure = "Leave out --dry-run: for texts and pictures a build tells what fits."
    return InputError("sizes are weighed beforehand for tables alone", where="--dry-run", seen=modality, cure=cure)


def _names(target: str | Sequence[str]) -> tuple[str, ...]:
    """Canonical names of the targets asked for."""
    return tuple(find_target(name).name for name in _listed(target))


def _listed(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
