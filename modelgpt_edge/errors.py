"""The one exception hierarchy. Every message says what is wrong, where, the value seen and the cure.

An exit code belongs to a class of error, so the command line never has to guess.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ModelgptEdgeError(Exception):
    """Base of all errors a user can cause or cure.

    Args:
        what: the fault in one clause.
        where: file, column, line or option it was met at.
        seen: the offending value, shown as ``repr`` and shortened.
        cure: what to do about it, an imperative sentence.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", seen: object = None, cure: str = "") -> None:
        self.what, self.where, self.seen, self.cure = what, where, seen, cure
        text = f"{where}: {what}" if where else what
        if seen is not None:
            value = repr(seen)
            text += f" (seen: {value if len(value) <= 120 else value[:117] + '...'})"
        text = text.rstrip(".") + "."
        if cure:
            text += f" {cure}"
        super().__init__(text)


class InputError(ModelgptEdgeError):
    """A value, file or option that cannot be used (exit 1)."""


class PackageError(ModelgptEdgeError):
    """A package that is damaged, edited, incomplete or of an unknown schema (exit 1)."""


class GateError(ModelgptEdgeError):
    """A hop of the numeric gate left its tolerance (exit 3)."""

    exit_code = 3


class TargetUnavailableError(ModelgptEdgeError):
    """A target or backend whose toolchain is missing on this machine (exit 4)."""

    exit_code = 4


class BudgetError(ModelgptEdgeError):
    """No candidate fits the device's budget (exit 5).

    Args:
        what, where, seen, cure: as of all.
        reason: what speaks against the candidate that comes nearest, in a clause; `what` where not given.
    """

    exit_code = 5

    def __init__(self, what: str, *, where: str = "", seen: object = None, cure: str = "", reason: str = "") -> None:
        super().__init__(what, where=where, seen=seen, cure=cure)
        self.reason = reason or what


def nearest(name: str, known: Iterable[str]) -> str:
    """A cure that lists the known names nearest to `name`, nearest first (all of them when few)."""
    names = sorted(set(known))
    by_folded = {n.casefold(): n for n in names}
    close = difflib.get_close_matches(name.casefold(), by_folded, n=3, cutoff=0.5)
    if close:
        return "Did you mean " + " or ".join(repr(by_folded[c]) for c in close) + "?"
    shown = ", ".join(repr(n) for n in names[:12])
    return f"Known: {shown}{', ...' if len(names) > 12 else ''}."
