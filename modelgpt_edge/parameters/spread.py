"""Work spread over threads, such that an interrupt ends it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def spread(function: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """Results of a function over items, in their order, from so many threads; of one worker, in the caller's own.

    The caller waits at a `SimpleQueue` alone. Were it interrupted while it holds a lock of `concurrent.futures`, that lock
    would stay taken, and a thread that needs it to hand in its result would wait for ever, and the caller for that thread.
    """
    if workers == 1:
        yield from map(function, items)
        return
    todo: SimpleQueue[tuple[int, T]] = SimpleQueue()
    done: SimpleQueue[tuple[int, Callable[[], R]]] = SimpleQueue()
    for numbered in enumerate(items):
        todo.put(numbered)
    count, left = todo.qsize(), threading.Event()

    def work() -> None:
        while not left.is_set():
            try:
                place, item = todo.get_nowait()
            except Empty:
                return
            done.put((place, _outcome(function, item)))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(workers, count))]
    for thread in threads:
        thread.start()
    try:
        early: dict[int, Callable[[], R]] = {}
        for wanted in range(count):
            while wanted not in early:
                place, outcome = done.get()
                early[place] = outcome
            yield early.pop(wanted)()
    finally:
        left.set()
        for thread in threads:
            thread.join()


def _outcome(function: Callable[[T], R], item: T) -> Callable[[], R]:
    """What calling the function came to: a call that returns its result, or raises what it raised."""
    try:
        result = function(item)
    except BaseException as error:  # it is the caller's to see
        raised = error

        def fail() -> R:
            raise raised

        return fail
    return lambda: result
