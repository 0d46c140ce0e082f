"""Fill the C templates in ``c/``: a handful of directives, each on a line of its own that starts with ``//:``.

``//:if flag``, ``//:else``, ``//:end`` keep or drop lines, ``//:include file`` puts another template in, and any other
``//:name`` is replaced by the block of that name. The names ``model`` and ``MODEL`` become the user's.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

from modelgpt_edge.errors import InputError

FOLDER = Path(__file__).parent / "c"
_DIRECTIVE = "//:"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")


def fill(file: str, name: str, flags: Set[str], blocks: Mapping[str, str]) -> str:
    """A template with its directives carried out.

    Args:
        name: prefix of every public symbol, lower case.

    Raises:
        InputError: the name is no C identifier in lower case.
    """
    if not _NAME.fullmatch(name):
        cure = "Use lower-case letters, digits and underscores, a letter first."
        raise InputError("the model's name in C can't be used", seen=name, cure=cure)
    outline = _outline(file, name, frozenset(flags))
    text = "\n".join(blocks[line] if is_block else line for line, is_block in outline if not is_block or blocks[line])
    return re.sub(r"\n{3,}", "\n\n", text + "\n")


@functools.lru_cache(maxsize=64)
def _outline(file: str, name: str, flags: frozenset[str]) -> tuple[tuple[str, bool], ...]:
    """A template's lines, and for each whether it is the name of a block: what depends on no weight is read once."""
    return tuple(_read(file, name, flags))


def _read(file: str, name: str, flags: frozenset[str]) -> Iterator[tuple[str, bool]]:
    kept = [True]
    for line in (FOLDER / file).read_text(encoding="utf-8").splitlines():
        if not line.strip().startswith(_DIRECTIVE):
            if all(kept):
                yield re.sub(r"\bmodel(?=_|\.h\b)", name, re.sub(r"\bMODEL(?=_)", name.upper(), line)), False
            continue
        word, _, rest = line.strip().removeprefix(_DIRECTIVE).partition(" ")
        if word == "if":
            kept.append(rest in flags)
        elif word == "else":
            kept[-1] = not kept[-1]
        elif word == "end":
            kept.pop()
        elif not all(kept):
            continue
        elif word == "include":
            yield from _read(rest, name, flags)
        else:
            yield word, True
