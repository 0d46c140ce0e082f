"""What is made of pictures that can't be read: some are left out and named, and too many of them are an error."""

from __future__ import annotations

from collections.abc import Sequence

from modelgpt_edge.errors import InputError

# The share of pictures that may be unreadable; one always may, but where it is the only one.
UNREADABLE = 0.05
_SHOWN = 3


def refuse_too_many(name: str, count: int, failed: Sequence[InputError]) -> None:
    """InputError where more of `count` pictures can't be read than may be left out.

    Args:
        name: what to call the source; failed: what was met so far, in the order of the pictures.
    """
    allowed = max(1, int(UNREADABLE * count))
    if failed and count == 1:
        raise failed[0]
    if len(failed) > allowed:
        what = f"more than {allowed:,} of {count:,} pictures cannot be read"
        seen = f"{failed[0].where}: {failed[0].what}"
        cure = f"Mend them or take them away; one may be unreadable, or {UNREADABLE:.0%} where that is more."
        raise InputError(what, where=name, seen=seen, cure=cure)


def left_out(failed: Sequence[tuple[str, str]], most: int = _SHOWN) -> tuple[str, ...]:
    """A note on pictures that were left out, each by its name and the reason.

    Args:
        most: how many of them are named.
    """
    if not failed:
        return ()
    more = f" and {len(failed) - most:,} more" if len(failed) > most else ""
    return (f"Left out, unreadable: {', '.join(f'{name} ({what})' for name, what in failed[:most])}{more}.",)
