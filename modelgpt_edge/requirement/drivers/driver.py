"""The interface of a driver, and the bounds that all of them keep. No driver is imported here: `opening` knows them."""

from __future__ import annotations

from typing import Protocol

from modelgpt_edge.requirement.drivers.prompt import Question

LONGEST_ANSWER = 64 * 1024  # bytes that are read
MOST_TOKENS = 512  # that a model may answer with
SECONDS = 120.0  # for one answer


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
