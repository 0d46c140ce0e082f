"""What every backend offers: an honest answer to whether it works on this machine, and if not, why and how to get it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol


@dataclass(frozen=True)
class Check:
    """One thing that a probe tried for real, such as a one-op inference on one provider."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Availability:
    """What a probe found.

    Attributes:
        available: whether the backend can be used on this machine.
        version: version of its library, ``unknown`` where it tells none; "" where it isn't installed.
        reason: what the verdict rests on, a clause without a full stop.
        how_to_get_it: the command or step that makes it available, or more of it; "" where nothing is missing.
        checks: what was tried, one by one.
    """

    available: bool
    version: str
    reason: str
    how_to_get_it: str
    checks: tuple[Check, ...] = ()


class Backend(Protocol):
    """A way to run a model on a target."""

    @property
    def name(self) -> str:
        """The name that targets list it by."""

    def probe(self) -> Availability:
        """Whether it works here. Never raises: a missing or broken toolchain is an answer."""


def installed_version(package: str, module: object = None) -> str:
    """Version of an installed package, which need not import; its module's own word where there is no metadata."""
    try:
        return version(package)
    except PackageNotFoundError:
        return str(getattr(module, "__version__", "")) or "unknown"


def first_line(error: Exception) -> str:
    """What an error of someone else's library says, in one line short enough for a table."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
