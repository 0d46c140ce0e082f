"""Room on the disk: asked for before and while an upload is written, and told where it is out."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelgpt_edge.server.errors import RequestError

# Bytes that uploads leave free, for what is made of them and for others on this machine.
RESERVE = 64 << 20
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def require_disk(folder: Path, size: int) -> None:
    """RequestError where so many bytes more would fill the disk."""
    if shutil.disk_usage(folder).free - size < RESERVE:
        raise disk_full()


def is_full(error: BaseException | None) -> bool:
    """Whether an error says that the disk is."""
    return isinstance(error, OSError) and error.errno in _FULL


def disk_full() -> RequestError:
    """The error for a disk without room."""
    cure = "Ask again later, or start the server with TMPDIR on a larger disk."
    return RequestError(507, "the server's disk is full", where="server", cure=cure, retry_after=60, close=True)


@contextmanager
def writing() -> Iterator[None]:
    """RequestError where what is written meanwhile finds the disk full."""
    try:
        yield
    except Exception as error:
        if is_full(error) or is_full(error.__cause__):
            raise disk_full() from error
        raise
