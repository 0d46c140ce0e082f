"""The one door to Pillow: it is imported when a picture is read, and what it has to say to the console stays unsaid.

Nothing here knows a picture.
"""

from __future__ import annotations

import logging
import threading
import warnings
from types import TracebackType

from modelgpt_edge.errors import InputError

CURE = "Install it with: pip install 'modelgpt-edge[images]'."


def require_pillow() -> None:
    """Import Pillow and the readers of formats that it would otherwise look for among all that it has.

    Raises:
        InputError: it isn't installed.
    """
    try:
        from PIL import TiffImagePlugin, WebPImagePlugin  # noqa: F401
    except ImportError as error:
        what = "reading pictures needs Pillow, which is not installed"
        raise InputError(what, where="pictures", seen=str(error), cure=CURE) from error
    logger = logging.getLogger("PIL")
    if not logger.handlers:  # without one Python prints errors; where the user listens, they arrive as before
        logger.addHandler(logging.NullHandler())


class _Quiet:
    """While anyone is inside, Pillow's warnings are not shown; what a picture's fault is, an error says.

    Filters of warnings belong to the whole process, so threads share one change of them: the first in makes it, the last out
    takes it back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._filters.__exit__(None, None, None)


QUIET = _Quiet()
