"""The rules for tasks about pictures: classes from folders, options, or both; limits and devices from the task's text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from modelgpt_edge.errors import InputError
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.classes_asked import require_two
from modelgpt_edge.requirement.classified import classified
from modelgpt_edge.requirement.picture_classes import SUCH_AS, near_misses, spelled_as_pictures
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.requirement.wording import clean, counted, shown, spoken
from modelgpt_edge.schema import Column, Schema

IMAGE, LABEL = "image", "label"
SHOWN_CLASSES = 4
# Words by which people ask for a model of pictures, in the languages that the rules read limits in.
SPOKEN = re.compile(
    r"\b(pictures?|pics?|photos?|photograph(s|y|ies?)?|images?|imagery|selfies?|snapshots?|screenshots?|thumbnails?|jpe?gs?|pngs?"
    r"|x-?rays?|camera|webcam|((röntgen|ultraschall|satelliten|luft|wärme|produkt|mikroskop|einzel)-?)?bild(er|ern|es|s)?"
    r"|[a-zäöüß]*fotos?|kamera|caméra|im[aá]gen(es)?|fotograf[ií]as?|c[aá]mara|fotografi[ae]|immagin[ei]|fotocamera)\b"
    r"|图片|照片|图像|相机|摄像头|写真|画像",
    re.IGNORECASE,
)


def speaks_of_pictures(task: str) -> bool:
    """Whether a task without data is about pictures, by its words."""
    return bool(SPOKEN.search(task))


def write_picture_requirement(request: Request, found: Sequence[str], pictures: int) -> Requirement:
    """Understand a request about pictures.

    Args:
        found: classes of the data, empty where there is none; pictures: how many there are.

    Raises:
        InputError: there is one class, or too many, or options don't fit.
    """
    if request.kind is not None and request.kind.strip().casefold() != "classification":
        cure = "Leave out --kind: pictures are told apart by classes."
        raise InputError("pictures are classified, nothing else", where="--kind", seen=request.kind, cure=cure)
    asked, told = spelled_as_pictures(request.classes, found)
    request = replace(request, classes=asked)
    without = [name for name in asked if name not in set(found)]
    every = (*found, *without)
    require_two(dict.fromkeys(every, ""), SUCH_AS)
    names = tuple(asked) if set(asked) == set(every) else every
    if without and found:
        known = spoken([shown(name) for name in without[:5]])
        some = f"No picture of {known}{' and others' if len(without) > 5 else ''}: served by what the name says."
        told = (*told, some, *near_misses(without, found))
    schema = Schema(
        columns=(Column(IMAGE, "image", "a picture of any size"),),
        label=Column(LABEL, "category", "names of classes"),
        label_because="classes are the names of folders, or of the label's column" if found else "you named the classes",
        kind="classification",
        kind_because="pictures are classified",
        classes=names,
    )
    return classified(request, "image", _sentence(request.task, names, pictures), schema, told)


def _sentence(task: str, classes: Sequence[str], pictures: int) -> str:
    few = [shown(name, 24) for name in classes[:SHOWN_CLASSES]]
    told = spoken(few, "or") if len(few) == len(classes) else f"one of {len(classes)} classes such as {spoken(few[:2])}"
    seen = counted(pictures, "picture") if pictures else "no pictures, by the classes' names alone"
    return f"Classify each picture as {told} ({seen}): {clean(task, 120).rstrip('.') or 'sort pictures'}."[:300]
