"""A server's folder of uploads and packages: it goes with the server, or is cleared by the next one where that one was killed.

A lock that the system lets go with the process tells a living server's folder from one that was left behind.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

PREFIX, LOCK = "modelgpt-edge-serve-", "lock"


class OwnFolder:
    """A new folder among the system's temporary ones, held until it is closed; what killed servers left there is removed."""

    def __init__(self) -> None:
        place = Path(tempfile.gettempdir())
        for left in place.glob(f"{PREFIX}*"):
            _clear(left)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        # Locked before it has its name, so that no other server takes the folder for one left behind.
        self._lock: int | None = os.open(self.path / f"{LOCK}.new", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        _hold(self._lock)
        (self.path / f"{LOCK}.new").rename(self.path / LOCK)

    def close(self) -> None:
        """Remove it."""
        if self._lock is not None:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = None


def _clear(folder: Path) -> None:
    """Remove a folder of this user's that no server holds; what has no lock may be just being made."""
    try:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            return
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:  # it is gone, or another user's
        return
    try:
        if _hold(lock):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def _hold(lock: int) -> bool:
    """Lock an open file until it is closed; whether nobody else holds it."""
    if sys.platform == "win32":  # which has no such lock: nothing is cleared there
        return False
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
