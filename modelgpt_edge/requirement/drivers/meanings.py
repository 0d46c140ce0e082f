"""Judge what a model says that classes mean. For texts that is a part of the head's prior, so it decides something.

Each has to be fit to stand in a package, and for texts the sentence encoder has to find it nearest to its own class's name. All
are taken, or none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from modelgpt_edge.child import Floats
from modelgpt_edge.requirement.drivers.own_words import Rows, foreign, leaks
from modelgpt_edge.requirement.drivers.prompt import Question
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.requirement.wording import clean, name_words, shown, spoken, spoken_name

# What a sentence encoder makes of texts, (N, D) of unit length.
Embed = Callable[[Sequence[str]], Floats]

LONGEST_MEANING = 200


@dataclass(frozen=True)
class Meanings:
    """What is taken of a model's meanings.

    Attributes:
        taken: by class; empty where they aren't taken.
        why_not: why they aren't, as a clause; "" where they are, or where none was asked for or told.
        untrue: whether the encoder found one to speak of another class.
    """

    taken: Mapping[str, str] = field(default_factory=dict)
    why_not: str = ""
    untrue: bool = False


def judge_meanings(
    claimed: Mapping[str, str],
    asked: Sequence[str],
    question: Question,
    task: str,
    rows: Rows,
    requirement: Requirement,
    embed: Embed | None,
) -> Meanings:
    """What may be taken of what a model says that the classes in `asked` mean.

    Args:
        question: that it answers; rows: that the question shows.
        embed: the sentence encoder. Without one none of texts is taken; of a table they decide nothing, and are not checked.
    """
    told = {name: claimed[name] for name in asked if name in claimed}
    if not told:
        return Meanings()
    if silent := [shown(name) for name in asked if name not in told]:
        return Meanings(why_not=f"none of {spoken(silent, 'or')}")
    if len({name_words(text) for text in told.values()}) < len(told):
        return Meanings(why_not="two classes would mean the same")
    for name, text in told.items():
        if why := _unfit(name, text, question, task) or ("it holds a cell" if leaks(text, task, rows, requirement) else ""):
            return Meanings(why_not=f"of {shown(name)}, {why}")
    if requirement.modality != "text":
        return Meanings(told)
    if embed is None:
        return Meanings(why_not="there is no sentence encoder at hand to check them by")
    strayed = _strayed(told, requirement.schema.classes, embed)
    return Meanings(why_not=strayed, untrue=True) if strayed else Meanings(told)


def _unfit(name: str, text: str, question: Question, task: str) -> str:
    """Why a meaning can't stand in a package, as a clause; "" where it can."""
    words = name_words(text)
    if text != clean(text, LONGEST_MEANING):
        return f"it has more than {LONGEST_MEANING} characters, or some that don't print"
    if words == name_words(name) or not any(c.isalpha() for c in words):
        return "it says nothing"
    if words in name_words(question.user) and words not in name_words(task):
        return "it repeats the question"
    return foreign(text, task)


def _strayed(told: Mapping[str, str], classes: Sequence[str], embed: Embed) -> str:
    """The first meaning that lies nearer to another class's name than to its own class's, as a clause; "" where none does."""
    names = embed([spoken_name(name) for name in classes])
    nearest = np.argmax(embed(list(told.values())) @ names.T, axis=1)
    for (name, text), place in zip(told.items(), nearest):
        if classes[place] != name:
            encoder = "the sentence encoder finds it nearer to"
            return f'of {shown(name)} it says "{clean(text, 80)}", and {encoder} the name {shown(classes[place])}'
    return ""
