"""Read a language model's answer: the first JSON object with a key that was asked for, and the texts under those keys.

Nothing here knows the data: what is read is only well-formed, not yet true.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelgpt_edge.requirement.drivers.driver import LONGEST_ANSWER, UnusableAnswerError
from modelgpt_edge.requirement.drivers.prompt import MOST_NAMED
from modelgpt_edge.requirement.wording import shown, spoken

STARTS = 20  # braces at which an object is looked for
LONGEST_TEXT = 1_000  # characters of a text that are read: more than any use of it allows
FACTS = frozenset(("label", "label_words", "kind", "kind_words", "columns"))
TOLD = frozenset(("sentence", "classes"))
THOUGHTS = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Claim:
    """A fact as a model claims it, and the words of the request that it says it comes from."""

    value: str
    words: str


@dataclass(frozen=True)
class Facts:
    """A model's answer to the first question.

    Attributes:
        label, kind: what it claims; None where it says nothing.
        named: the columns that it says are named.
        unasked: keys that were not asked for.
    """

    label: Claim | None
    kind: Claim | None
    named: tuple[Claim, ...]
    unasked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Told:
    """A model's answer to the second question: a sentence, "" for none, meanings by class, and keys that were not asked for."""

    sentence: str
    meanings: Mapping[str, str]
    unasked: tuple[str, ...] = ()


def read_facts(answer: str) -> Facts:
    """The facts in an answer.

    Raises:
        UnusableAnswerError: there is no JSON object with such facts in it.
    """
    values = _object_in(answer, FACTS)
    items = values.get("columns")
    named = [
        Claim(_text(item.get("column")), _text(item.get("words")))
        for item in (items[:MOST_NAMED] if isinstance(items, list) else [])
        if isinstance(item, dict)
    ]
    return Facts(
        _claim(values, "label"),
        _claim(values, "kind"),
        tuple(claim for claim in named if claim.value),
        _unasked(values, FACTS),
    )


def read_told(answer: str) -> Told:
    """The sentence and the meanings in an answer.

    Raises:
        UnusableAnswerError: there is no JSON object with such facts in it.
    """
    values = _object_in(answer, TOLD)
    classes = values.get("classes")
    meanings = {name: _text(text) for name, text in classes.items()} if isinstance(classes, dict) else {}
    return Told(
        _text(values.get("sentence")),
        {name: text for name, text in meanings.items() if text},
        _unasked(values, TOLD),
    )


def _object_in(answer: str, asked: frozenset[str]) -> dict[str, Any]:
    """The first JSON object of a text with a key that was asked for.

    Whatever stands around it is passed over: a fence, a preface, what a model thought aloud.
    """
    text = THOUGHTS.sub(" ", answer[:LONGEST_ANSWER])
    decoder = json.JSONDecoder()
    for place in [match.start() for match in re.finditer(r"\{", text)][:STARTS]:
        try:
            values, _ = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            continue
        if isinstance(values, dict) and not asked.isdisjoint(values):
            return values
    raise UnusableAnswerError("it holds no whole JSON object with what was asked for")


def _claim(values: Mapping[str, Any], key: str) -> Claim | None:
    value = _text(values.get(key))
    return Claim(value, _text(values.get(f"{key}_words"))) if value else None


def _text(value: object) -> str:
    """A text as it stands; "" for anything else, and for one that is far too long."""
    return value.strip() if isinstance(value, str) and len(value) <= LONGEST_TEXT else ""


def _unasked(values: Mapping[str, Any], asked: frozenset[str]) -> tuple[str, ...]:
    return tuple(key for key in values if key not in asked)[:MOST_NAMED]


def unasked_note(keys: tuple[str, ...]) -> list[str]:
    """A note on what a model volunteered."""
    if not keys:
        return []
    return [f"It also answered {spoken([shown(key) for key in keys])}, which it wasn't asked for: left out."]
