"""Progress as server-sent events: what a job tells on its way, and then what became of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

# Seconds after which a comment is sent where nothing happens, so that no proxy takes the connection for dead.
QUIET = 10.0
Told = asyncio.Queue[tuple[str, float] | None]


def event(kind: str, values: Any) -> bytes:
    """One event."""
    return f"event: {kind}\ndata: {json.dumps(values, ensure_ascii=False)}\n\n".encode()


async def progress_events(told: Told) -> AsyncIterator[bytes]:
    """An event ``progress`` for everything told, until None is."""
    while True:
        try:
            item = await asyncio.wait_for(told.get(), QUIET)
        except asyncio.TimeoutError:
            yield b": still at it\n\n"
            continue
        if item is None:
            return
        stage, share = item
        yield event("progress", {"stage": stage, "share": round(share, 4)})
