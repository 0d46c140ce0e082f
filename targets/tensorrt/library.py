"""The `tensorrt` Python module of whichever version is here: found, or its absence explained; its log kept, not printed."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.targets.backend import Availability, first_line, installed_version

HOW_TO_GET_IT = (
    "On a Jetson it comes with JetPack: sudo apt install nvidia-jetpack, and make a virtual environment with "
    "python3 -m venv --system-site-packages; elsewhere it isn't needed, as engines are built on the board"
)
# Read by name through importlib: this package is called tensorrt too.
NAME = "tensorrt"
# Before 10 a network had other defaults, engines other calls.
OLDEST = 10


def probe_library() -> Availability:
    """Import the module and look whether it is NVIDIA's and of a version that this project speaks."""
    try:
        library = importlib.import_module(NAME)
    except ModuleNotFoundError as error:
        if error.name == NAME:
            return Availability(False, "", f"no Python module {NAME}", HOW_TO_GET_IT)
        return _broken(f"it needs the Python module {error.name}")
    except Exception as error:  # missing CUDA libraries surface as OSError, RuntimeError and others
        return _broken(f"it doesn't import: {first_line(error)}")
    version = str(getattr(library, "__version__", ""))
    if not version or not hasattr(library, "Builder"):
        return _broken("the module of this name is not NVIDIA's")
    if major(version) < OLDEST:
        why = f"TensorRT {version} is older than {OLDEST}"
        return Availability(False, version, why, "Update the board to JetPack 6.2 or newer")
    return Availability(True, version, "tensorrt imports; no engine was built to try it", "")


def import_library() -> Any:
    """The module.

    Raises:
        TargetUnavailableError: it isn't here, is broken or too old.
    """
    found = probe_library()
    if not found.available:
        raise TargetUnavailableError(f"TensorRT can't be used here: {found.reason}", where=NAME, cure=f"{found.how_to_get_it}.")
    return importlib.import_module(NAME)


def major(version: str) -> int:
    """10 of ``10.3.0``; 0 where it is no version."""
    first = version.partition(".")[0]
    return int(first) if first.isdigit() else 0


def _broken(why: str) -> Availability:
    return Availability(False, installed_version(NAME), f"tensorrt is installed, but {why}", HOW_TO_GET_IT)


@functools.cache
def open_log(trt: Any) -> Any:
    """The one logger of a TensorRT module, which keeps errors and warnings: a second logger would be ignored by it.

    ``take_errors()`` gives the error messages since it was last asked, joined.
    """

    class Log(trt.ILogger):  # type: ignore[misc]  # the base is known at run time alone
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self.errors.append(" ".join(message.split()))

        def take_errors(self) -> str:
            said, self.errors = "; ".join(self.errors), []
            return said

    return Log()


def failed(trt: Any, what: str, cure: str, *more: str) -> TargetUnavailableError:
    """The error for a call that TensorRT refused, with its own words."""
    said = "; ".join(text for text in (*more, open_log(trt).take_errors()) if text)
    return TargetUnavailableError(f"{what}: {said or 'it gave no reason'}", where=f"TensorRT {trt.__version__}", cure=cure)
