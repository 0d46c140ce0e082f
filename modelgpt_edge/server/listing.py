"""The targets as this server knows them, kept for a while: finding out which tools work here starts compilers and emulators,
and imports some hundreds of megabytes, so a process of its own does that.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

# Seconds that an answer is kept.
KEEP = 60.0
Told = Sequence[dict[str, object]]


def look() -> Told:
    """What `targets --json` prints, found out anew."""
    command = [sys.executable, "-m", "modelgpt_edge", "targets", "--json"]
    told: Told = json.loads(subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout)
    return told


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
