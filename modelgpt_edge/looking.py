"""The first look at a request's data: is it a table, are there texts in it, are they pictures, or is there none at all."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelgpt_edge.data.picture_sets import PictureSet, is_table_of_pictures, looks_like_pictures, open_pictures
from modelgpt_edge.errors import InputError, nearest
from modelgpt_edge.request import DRAWS, Request
from modelgpt_edge.requirement.drivers.opening import RULES
from modelgpt_edge.requirement.image_rules import speaks_of_pictures
from modelgpt_edge.requirement.picture_classes import check_picture_classes

if TYPE_CHECKING:
    from modelgpt_edge.data.profile import Profile
    from modelgpt_edge.data.sources import Source
    from modelgpt_edge.requirement.text_columns import TextColumns

MODALITIES = ("table", "text", "image")


@dataclass(frozen=True)
class Looked:
    """The data, read through once.

    Attributes:
        source, profile: None where there is no data.
        texts: where texts and labels are; None for a table.
        modality: ``table``, ``text`` or ``image``; pictures: of the last.
    """

    source: Source | None
    profile: Profile | None
    texts: TextColumns | None
    modality: str = "table"
    pictures: PictureSet | None = None


def look(request: Request) -> Looked:
    """Look at the data, and tell a task about texts or pictures from one about a table.

    Raises:
        InputError: there is neither data nor classes, or they don't fit together.
    """
    if not request.task.strip():
        raise InputError("the task is empty", where="--task", cure="Say what to predict, such as 'predict churn'.")
    if request.modality is not None and request.modality not in MODALITIES:
        cure = nearest(request.modality, MODALITIES)
        raise InputError("there is no such modality", where="--modality", seen=request.modality, cure=cure)
    if about_pictures(request):
        _refuse_for_pictures(request)
        pictures = None if request.data is None else open_pictures(request.data, request.label)
        if pictures is not None:
            check_picture_classes(pictures, request.classes)
        return Looked(None, None, None, "image", pictures)
    pictured = {"--unlabelled": request.unlabelled, "--size": request.size}
    odd = next((option for option, value in pictured.items() if value is not None), None)
    if odd is not None:
        cure = "Leave it out, or say --modality image."
        raise InputError("this option is for pictures", where=odd, seen=pictured[odd], cure=cure)
    if request.data is None:
        if not request.classes:
            cure = "Give --data FILE, or --classes 'refund,card lost' for a model of texts without any."
            raise InputError("there is nothing to make a model from", where="--data", cure=cure)
        asked = {"--label": request.label, "--text": request.texts}
        idle = next((option for option, value in asked.items() if value), None)
        if idle is not None:
            cure = "Give --data FILE, or leave it out."
            raise InputError("this option is about data, and there is none", where=idle, seen=asked[idle], cure=cure)
        return Looked(None, None, None, "text")
    from modelgpt_edge.data.profile import profile
    from modelgpt_edge.data.sources import open_source
    from modelgpt_edge.requirement.text_columns import find_texts, no_labels, only_texts

    source = open_source(request.data)
    facts = profile(source, request.seed)
    texts = find_texts(request.texts, request.label, request.task, facts)
    if texts is None and request.classes and only_texts(facts):
        raise no_labels(source.name, "--data")
    if texts is None and (request.classes or request.encoder is not None):
        option = "--classes" if request.classes else "--encoder"
        cure = "Name the column of texts by --text, or leave the option out."
        raise InputError("this data is a table, and the option is for texts", where=option, seen=source.name, cure=cure)
    return Looked(source, facts, texts, "table" if texts is None else "text")


def _refuse_for_pictures(request: Request) -> None:
    """InputError for an option that a model of pictures has no use for."""
    if request.driver.strip().casefold() != RULES:
        raise no_driver("--driver", request.driver)
    if request.private:
        raise no_driver("--private")
    without = {"--text": request.texts or None, "--draws": None if request.draws == DRAWS else request.draws}
    odd = next((option for option, value in without.items() if value is not None), None)
    if odd is not None:
        what = "this option is for texts" if odd == "--text" else "this option is for tables"
        raise InputError(what, where=odd, seen=without[odd], cure="Leave it out: these are pictures.")
    listed = [source for source in (request.data, request.test) if source is not None]
    if request.label is not None and not any(map(is_table_of_pictures, listed)):
        cure = "Leave it out: classes are the folders' names." if listed else "Give --data with a table, or leave it out."
        raise InputError("this option is about a table, and there is none", where="--label", seen=request.label, cure=cure)


def no_driver(option: str, seen: str | None = None) -> InputError:
    """The error where a language model shall help with a task about pictures, or an option speaks of what it is shown."""
    cure = "Leave it out: say what a name leaves open by --class 'NAME: MEANING'."
    return InputError("of pictures no language model is asked", where=option, seen=seen, cure=cure)


def about_pictures(request: Request, *, follow: bool = True) -> bool:
    """Whether a request is about pictures: it says so, its data is, or without any its task speaks of them.

    Args:
        follow: as for `looks_like_pictures`.
    """
    if request.modality is not None:
        return request.modality == "image"
    if request.data is None:
        return bool(request.classes) and (_may_be_pictures(request.unlabelled, follow) or speaks_of_pictures(request.task))
    return looks_like_pictures(request.data, follow=follow)


def _may_be_pictures(source: object, follow: bool) -> bool:
    """Whether unlabelled data is pictures, or nothing that is there: whoever reads it says so."""
    if source is None:
        return False
    return _is_absent(source) or looks_like_pictures(source, follow=follow)


def _is_absent(source: object) -> bool:
    """Whether a path leads nowhere; one that can't even be looked up doesn't."""
    if not isinstance(source, (str, os.PathLike)):
        return False
    try:
        return not Path(os.path.expanduser(os.fsdecode(source))).exists()
    except (OSError, ValueError, RuntimeError):
        return True
