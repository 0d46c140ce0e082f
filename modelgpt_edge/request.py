"""What the user asked for, exactly as asked: nothing in the data can change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelgpt_edge.limits import NO_LIMITS, Limits

DRAWS = 4


@dataclass(frozen=True)
class Request:
    """A build request.

    Attributes:
        task: the task in the user's words.
        data: a path (CSV, Parquet, JSONL, also gzipped) or a table in memory.
        label: the label column's name; None to find it.
        kind: ``classification`` or ``regression``; None to tell from the task and the data.
        test: labelled rows for the honest test score, as `data`; None for cross-validation.
        targets: names of targets; empty for the devices that the task names, x86 where it names none.
        seed: seed of every random draw.
        draws: how many draws of hidden units are merged.
        generator: name of the generator to ship; None for the one that the guard finds better.
        limits: what the model may cost; each overrules what the task's text says.
        classes: names of classes that the user gives, with what they mean ("" where nothing is said); for texts and pictures.
        texts: names of the text columns; empty to tell from the data.
        encoder: name or folder of the sentence encoder; of pictures the backbone's file, a file of ONNX, or ``timm:NAME``; or
            ``tiny``; None for the usual one.
        size: pixels of a side of what a model of pictures takes in; None to choose.
        modality: ``table``, ``text`` or ``image``; None to tell from the data, or from the task where there is none.
        unlabelled: pictures without labels, like those that the model will see; they centre what the backbone says.
        driver: who helps to understand the task: ``rules`` alone, or a language model besides.
        private: whether a language model is shown no value of any row.
    """

    task: str
    data: object
    label: str | None = None
    kind: str | None = None
    test: object = None
    targets: tuple[str, ...] = ()
    seed: int = 0
    draws: int = DRAWS
    generator: str | None = None
    limits: Limits = NO_LIMITS
    classes: Mapping[str, str] = field(default_factory=dict, hash=False)
    texts: tuple[str, ...] = ()
    encoder: str | None = None
    size: int | None = None
    modality: str | None = None
    unlabelled: object = None
    driver: str = "rules"
    private: bool = False
