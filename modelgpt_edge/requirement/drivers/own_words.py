"""Judge what a model wrote in its own words: its sentence and the meaning of classes go into a package that others read.

So they may hold no addresses or paths, no quantities or devices that the request doesn't name, and nothing from the rows shown.
A sentence has to be about the request, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from modelgpt_edge.requirement.devices import find_devices
from modelgpt_edge.requirement.drivers.prompt import Question
from modelgpt_edge.requirement.drivers.telling import LEAST_LETTERS, holds, telling_words, tells
from modelgpt_edge.requirement.quantities import find_sizes, find_times
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.requirement.sentence import LONGEST
from modelgpt_edge.requirement.wording import clean, name_words, search_text, shown

Rows = Sequence[tuple[Mapping[str, str], str]]

LEAST_WORDS = 3

ADDRESS = re.compile(r"\w+://|www\.|\w@\w|[\\`<>{}]|(?:^|\s)[.~]{0,2}/\w|\b[a-z]:\\", re.IGNORECASE)
ENDS = re.compile(
    r"(?<!\be\.g)(?<!\bi\.e)(?<!\bvs)(?<!\bz\.b)[.!?](?=\s|$)"
    r"|[\N{IDEOGRAPHIC FULL STOP}\N{FULLWIDTH EXCLAMATION MARK}\N{FULLWIDTH QUESTION MARK}]",
    re.IGNORECASE,
)
ORDERS = re.compile(
    r"\b(?:ignore|disregard|instructions?|system prompt|as an ai|language model|i(?:'m| am) (?:sorry|unable)|i (?:cannot|can't)"
    r"|json|pip install|curl|wget|sudo)\b"
)


def why_not(
    sentence: str, question: Question, task: str, rows: Rows, requirement: Requirement, untrue: Sequence[str] = ()
) -> str:
    """Why a model's sentence can't stand for the requirement, as a clause; "" where it can.

    Args:
        question: that it answers.
        rows: that the question shows.
        untrue: names that the same model claimed, and that were refused.
    """
    if not sentence:
        return "there is none"
    if len(sentence) > LONGEST:
        return f"it has more than {LONGEST} characters"
    if sentence != clean(sentence, LONGEST):
        return "it has characters that don't print"
    words = name_words(sentence).split()
    if len(words) < LEAST_WORDS and sentence.isascii():
        return "it is no sentence"
    if len(ENDS.findall(sentence)) > 1 or 2 * len(set(words)) < len(words):
        return "it is more than one sentence, or says one thing again and again"
    if " ".join(words) in name_words(question.user):
        return "it repeats the question"
    if why := foreign(sentence, task):
        return why
    if claim := next((name for name in untrue if holds(sentence, name)), None):
        return f"it speaks of {shown(claim)}, which was refused"
    if not _about(sentence, task, requirement):
        return "it names neither the label nor a class, and nothing that the request is about"
    if leaks(sentence, task, rows, requirement):
        return "it holds a cell of the table"
    return ""


def foreign(text: str, task: str) -> str:
    """What a text brings in that only the request may: addresses, orders, quantities, devices."""
    folded, request = search_text(text), search_text(task)
    if ADDRESS.search(text):
        return "it holds an address, a path or markup"
    order = ORDERS.search(folded)
    if order and order[0] not in request:
        return "it speaks to its reader"
    known = {q.value for find in (find_times, find_sizes) for q in find(request)}
    if {q.value for find in (find_times, find_sizes) for q in find(folded)} - known:
        return "it names a time or a size that the request doesn't"
    if set(find_devices(text)[0]) - set(find_devices(task)[0]):
        return "it names a device that the request doesn't"
    return ""


def _about(sentence: str, task: str, requirement: Requirement) -> bool:
    """Whether a sentence names the label or a class by a name that says something, or has a telling word of the request."""
    schema = requirement.schema
    names = (schema.label.name, *schema.classes)
    return any(tells(name) and holds(sentence, name) for name in names) or not telling_words(task).isdisjoint(
        telling_words(sentence)
    )


def leaks(text: str, task: str, rows: Rows, requirement: Requirement) -> bool:
    """Whether a text repeats a word or text of the rows that the question showed."""
    schema = requirement.schema
    known = f" {name_words(' '.join((task, schema.label.name, *(c.name for c in schema.columns), *schema.classes)))} "
    words = f" {name_words(text)} "
    spans = {span for cells, _ in rows for cell in cells.values() for span in _spans(name_words(cell).split())}
    return any(len(span) >= LEAST_LETTERS and f" {span} " in words and f" {span} " not in known for span in spans)


def _spans(words: Sequence[str]) -> set[str]:
    """A cell, and of a longer one every three words that follow each other."""
    return {" ".join(words), *(" ".join(words[start : start + 3]) for start in range(len(words) - 2))}
