"""The targets as this server knows them, kept for a while: finding out which tools work here starts compilers and emulators."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

# Seconds that an answer is kept.
KEEP = 60.0
Told = Sequence[dict[str, object]]


def look() -> Told:
    """What `targets --json` prints, found out anew."""
    from modelgpt_edge.targets.backends import BACKENDS, EMULATORS
    from modelgpt_edge.targets.listing import described
    from modelgpt_edge.targets.registry import list_targets

    backends, emulators = ({name: p.probe() for name, p in known.items()} for known in (BACKENDS, EMULATORS))
    return described(list_targets(), backends, emulators)


class Listing:
    """An answer that all who ask meanwhile share.

    Args:
        look: finds it out, in a thread of its own.
    """

    def __init__(
        self, look: Callable[[], Told] = look, keep: float = KEEP, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._look, self._keep, self._clock = look, keep, clock
        self._told: Told = ()
        self._until = float("-inf")
        self._looking = asyncio.Lock()

    async def told(self) -> Told:
        """The answer, at most so old as it is kept; whoever asks while it is found out waits for it."""
        async with self._looking:
            if self._clock() >= self._until:
                self._told = await asyncio.to_thread(self._look)
                self._until = self._clock() + self._keep
            return self._told
