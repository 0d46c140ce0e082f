"""The bearer token, from a file or the environment: never from the command line, where others would read it."""

from __future__ import annotations

import os
from pathlib import Path

from modelgpt_edge.errors import InputError

VARIABLE = "MODELGPT_EDGE_TOKEN"


def read_token(file: str | None) -> str | None:
    """The token in a file, or else in the environment; None where neither is given.

    Raises:
        InputError: the file can't be read, or what is given is no token.
    """
    where, text = VARIABLE, os.environ.get(VARIABLE, "")
    if file is not None:
        where = "--token-file"
        try:
            text = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            cure = "Give a text file that you may read."
            raise InputError("the token can't be read", where=where, seen=file, cure=cure) from error
    elif not text:
        return None
    token = text.strip()
    if not token.isascii() or not token.isprintable() or not token:
        raise InputError("this is no token", where=where, seen=file, cure="Give one line of letters and digits.")
    return token
