"""The interface of a driver, and how its name is read.

A name is ``openai:BASE_URL#MODEL``, ``transformers:PATH_OR_NAME``, ``gguf:FILE`` or ``rules``; a driver is imported when named.
"""

from __future__ import annotations

from typing import Protocol

from modelgpt_edge.errors import InputError
from modelgpt_edge.requirement.drivers.prompt import Question

RULES = "rules"
LONGEST_ANSWER = 64 * 1024  # bytes that are read
MOST_TOKENS = 512  # that a model may answer with
SECONDS = 120.0  # for one answer
CURE = "Give rules, openai:BASE_URL#MODEL, transformers:PATH_OR_NAME or gguf:FILE."


class UnusableAnswerError(Exception):
    """A model answered, but not so that it can be read; the message says in a clause how."""


class Driver(Protocol):
    """A language model that can be asked."""

    @property
    def name(self) -> str:
        """The model for reports and packages, without addresses, paths or keys."""

    def ask(self, question: Question) -> str:
        """The model's answer as text.

        Raises:
            InputError: it can't be asked: the server can't be reached, the file isn't there.
            UnusableAnswerError: what it answered is no text, or far too long.
        """


def open_driver(text: str) -> Driver | None:
    """The driver of a name; None for ``rules``, which asks no model.

    Raises:
        InputError: there is no such driver, or its model can't be there.
    """
    kind, colon, rest = text.strip().partition(":")
    if not colon and kind.casefold() == RULES:
        return None
    if colon and rest:
        if kind == "openai":
            from modelgpt_edge.requirement.drivers.openai import open_openai

            return open_openai(rest)
        if kind == "transformers":
            from modelgpt_edge.requirement.drivers.transformers import open_transformers

            return open_transformers(rest)
        if kind == "gguf":
            from modelgpt_edge.requirement.drivers.gguf import open_gguf

            return open_gguf(rest)
    raise InputError("there is no such driver", where="--driver", seen=text, cure=CURE)
