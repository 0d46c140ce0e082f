"""Options as a request names them and as the command line does: one error is told to both, each in its own words."""

from __future__ import annotations

import re

# Options of the command line that a request has as well, there without dashes and with `_` for `-`.
SHARED = (
    *("task", "data", "test", "label", "kind", "classes", "class", "text", "modality", "target", "backend"),
    *("max-latency", "max-flash", "max-ram", "draws", "generator", "finetune", "seed"),
)
_NAMES = "|".join(SHARED)
# A value follows where the next word is quoted or in capitals, such as FILE.
_DASHED = re.compile(rf"--({_NAMES})(?![\w-])( (?=['A-Z]))?")
_PLAIN = re.compile(rf"({_NAMES.replace('-', '_')})(?= |$)")


def for_request(text: str) -> str:
    """A text of the command line for whoever sends requests: ``--label NAME`` is ``label=NAME``, ``--label`` is ``label``, and
    ``--data FILE`` is the body.
    """
    text = text.replace("--data FILE", "the rows as the body")
    return _DASHED.sub(lambda found: found[1].replace("-", "_") + ("=" if found[2] else ""), text)


def place_for_request(where: str) -> str:
    """The same of where an error was met, an option that a request lacks included: that isn't the client's to give."""
    return for_request(where).removeprefix("--")


def place_for_command(where: str) -> str:
    """Where an error was met, as the command line names it again."""
    return _PLAIN.sub(lambda found: "--" + found[1].replace("_", "-"), where, count=1) if _PLAIN.match(where) else where
