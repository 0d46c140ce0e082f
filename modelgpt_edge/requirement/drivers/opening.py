"""From a driver's name to the driver.

A name is ``openai:BASE_URL#MODEL``, ``transformers:PATH_OR_NAME``, ``gguf:FILE`` or ``rules``; a driver is imported when named.
"""

from __future__ import annotations

from modelgpt_edge.errors import InputError
from modelgpt_edge.requirement.drivers.driver import Driver

RULES = "rules"
CURE = "Give rules, openai:BASE_URL#MODEL, transformers:PATH_OR_NAME or gguf:FILE."


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
