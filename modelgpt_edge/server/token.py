"""The bearer token, from a file or the environment: never from the command line, where others would read it."""

from __future__ import annotations

import os
from pathlib import Path

from modelgpt_edge.errors import InputError

VARIABLE = "MODELGPT_EDGE_TOKEN"


def read_token(file: str | None) -> str | None:
    """The token in a file, or else in the environment; None where neither is given.

    Raises:
        InputError: the file can't be read, or holds no token.
    """
    if file is None:
        return os.environ.get(VARIABLE) or None
    try:
        token = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        cure = "Give a text file that you may read."
        raise InputError("the token can't be read", where="--token-file", seen=file, cure=cure) from error
    if not token.isascii() or not token.isprintable() or not token:
        cure = "Write one line of letters and digits into it."
        raise InputError("this is no token", where="--token-file", seen=file, cure=cure)
    return token
