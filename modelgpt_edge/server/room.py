"""Room for what is held in memory, counted in bytes: a count of requests bounds nothing where each may be large."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Room:
    """So many bytes at a time; whoever wants more than are left waits, and all wait in their order.

    Args:
        most: bytes; what is larger is let in alone.
    """

    def __init__(self, most: int) -> None:
        self._most, self._held = most, 0
        self._turn, self._left = asyncio.Lock(), asyncio.Event()

    @asynccontextmanager
    async def taken(self, size: int) -> AsyncIterator[None]:
        """Hold so many bytes meanwhile, as soon as there is room for them."""
        async with self._turn:
            while self._held and self._held + size > self._most:
                self._left.clear()
                await self._left.wait()
            self._held += size
        try:
            yield
        finally:
            self._held -= size
            self._left.set()
