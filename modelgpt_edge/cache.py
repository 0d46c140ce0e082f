"""The user's cache of what is slow to make and the same every time: compiled templates, timing caches, an emulator's files.

Nothing in it is needed: a cache that is gone or can't be written costs time, nothing else.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/modelgpt-edge``, or ``~/.cache/modelgpt-edge``; it need not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelgpt-edge"


def cached(name: str) -> bytes | None:
    """Content of a file of the cache by its name; None where there is none."""
    try:
        return (cache_folder() / name).read_bytes()
    except OSError:
        return None


def keep(name: str, content: bytes) -> None:
    """Put a file into the cache, whole or not at all."""
    path = cache_folder() / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(content)
        os.replace(file.name, path)
    except OSError:
        return
