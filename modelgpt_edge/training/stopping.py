"""When a leg ends: its time is up, or somebody asked it to, by Ctrl-C or by the signal that ends programs."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Tells whether to stop; the clock runs from when it was made."""

    def __init__(self, seconds: float) -> None:
        self.began, self.seconds = time.monotonic(), seconds
        self.asked = False

    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    def late(self) -> bool:
        """Whether the time is up."""
        return self.elapsed() >= self.seconds


@contextmanager
def stop_when_asked(seconds: float) -> Iterator[Stop]:
    """A `Stop` that notes the first Ctrl-C; the second one interrupts as ever. Signals reach the main thread alone."""
    stop = Stop(seconds)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(number: int, frame: FrameType | None) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
