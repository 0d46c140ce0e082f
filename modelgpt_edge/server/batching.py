"""Dynamic batching: jobs that come within a few milliseconds are launched together, and each gets its own answer.

It knows nothing of HTTP, tables or processes: a launch takes jobs and gives a future for each. While every lane is busy,
jobs gather for free; an idle lane waits a few milliseconds for company. What is accepted is bounded.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

J = TypeVar("J")
R = TypeVar("R")
# How fast the estimate of a job's time follows what is measured.
FOLLOW = 0.1


class FullError(Exception):
    """No room for another job.

    Attributes:
        seconds: after which there should be.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(f"full; ask again in {seconds} s")
        self.seconds = seconds


@dataclass(frozen=True)
class Answer(Generic[R]):
    """A job's result, how many were launched with it, and the seconds that it waited before the launch."""

    result: R
    batch: int
    waited: float


@dataclass(eq=False)
class Waiting(Generic[J, R]):
    """A job, the time by the loop's clock since which it waits, and its answer to come."""

    job: J
    since: float
    answer: asyncio.Future[Answer[R]]


class Batcher(Generic[J, R]):
    """Gathers jobs and launches them.

    Args:
        launch: takes jobs, gives a future for each, in order. A future that raises MemoryError says that the jobs were too
            many at once: those are launched again in halves, and one that fails alone fails.
        most: jobs of a launch.
        wait: seconds that an idle lane waits for company.
        room: jobs that may be accepted and not yet answered.
        lanes: launches that may be under way at a time.
        observe: called with the size of every launch.
    """

    def __init__(
        self,
        launch: Callable[[Sequence[J]], Sequence[Future[R]]],
        *,
        most: int,
        wait: float,
        room: int,
        lanes: int,
        observe: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._launch, self._most, self._wait, self._observe = launch, most, wait, observe
        self._room, self._slots, self._lanes = room, asyncio.Semaphore(room), asyncio.Semaphore(lanes)
        self._queue: deque[Waiting[J, R]] = deque()
        self._arrived = asyncio.Event()
        self._accepted = 0
        self._seconds_a_job = 0.0
        self._flying: set[asyncio.Task[None]] = set()

    @property
    def accepted(self) -> int:
        """Jobs that are accepted and not yet answered."""
        return self._accepted

    def require_room(self) -> None:
        """FullError where a job would be refused now."""
        if self._slots.locked():
            raise FullError(max(1, math.ceil(self._seconds_a_job * self._room)))

    async def submit(self, job: J, *, patient: bool = False) -> Answer[R]:
        """A job's answer; cancelling it takes the job back where it isn't launched yet.

        Args:
            patient: wait for room instead of being refused.

        Raises:
            FullError: there is no room.
            Exception: whatever the job's future raises.
        """
        if not patient:
            self.require_room()
        async with self._slots:
            loop = asyncio.get_running_loop()
            waiting = Waiting[J, R](job, loop.time(), loop.create_future())
            self._accepted += 1
            self._queue.append(waiting)
            self._arrived.set()
            try:
                return await waiting.answer
            finally:
                self._accepted -= 1

    async def run(self) -> None:
        """Launch what comes, until cancelled."""
        while True:
            await self._lanes.acquire()
            try:
                batch = await self._gather()
            except asyncio.CancelledError:
                self._lanes.release()
                raise
            task = asyncio.create_task(self._fly(batch))
            self._flying.add(task)
            task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        self._lanes.release()

    async def _gather(self) -> list[Waiting[J, R]]:
        """The next jobs, at least one."""
        loop = asyncio.get_running_loop()
        while True:
            while self._queue and self._queue[0].answer.done():
                self._queue.popleft()
            left = self._queue[0].since + self._wait - loop.time() if self._queue else None
            if left is not None and (left <= 0 or len(self._queue) >= self._most):
                taken = [self._queue.popleft() for _ in range(min(self._most, len(self._queue)))]
                wanted = [w for w in taken if not w.answer.done()]
                if wanted:
                    return wanted
                continue
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), left)
            except asyncio.TimeoutError:  # nobody else came
                continue

    async def _fly(self, batch: list[Waiting[J, R]]) -> None:
        start = asyncio.get_running_loop().time()
        await send(self._launch, batch, self._observe)
        took = (asyncio.get_running_loop().time() - start) / len(batch)
        self._seconds_a_job += (FOLLOW if self._seconds_a_job else 1.0) * (took - self._seconds_a_job)


async def send(
    launch: Callable[[Sequence[J]], Sequence[Future[R]]],
    batch: Sequence[Waiting[J, R]],
    observe: Callable[[int], None] = lambda size: None,
) -> None:
    """Launch jobs and answer each as soon as its own result is there; those short of memory again, in halves."""
    start = asyncio.get_running_loop().time()
    observe(len(batch))
    try:
        futures = launch([w.job for w in batch])
    except MemoryError:
        short = list(batch)
    except Exception as error:  # a launch that fails as a whole: nobody may wait for it until their time is out
        for waiting in batch:
            if not waiting.answer.done():
                waiting.answer.set_exception(error)
        return
    else:
        told = await asyncio.gather(*(_answer(w, f, len(batch), start) for w, f in zip(batch, futures)))
        short = [w for w, done in zip(batch, told) if not done]
    if short and len(batch) == 1:
        if not short[0].answer.done():
            short[0].answer.set_exception(MemoryError())
        return
    middle = (len(short) + 1) // 2
    for half in (short[:middle], short[middle:]):
        if half:
            await send(launch, half, observe)


async def _answer(waiting: Waiting[J, R], future: Future[R], size: int, start: float) -> bool:
    """Hand on one result; False where memory was short."""
    waiting.answer.add_done_callback(lambda answer: future.cancel() if answer.cancelled() else None)
    try:
        result = await asyncio.wrap_future(future)
    except MemoryError:
        return False
    except asyncio.CancelledError:
        waiting.answer.cancel()
        return True
    except Exception as error:  # it is the job's to raise, not the batch's
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
        return True
    if not waiting.answer.done():
        waiting.answer.set_result(Answer(result, size, start - waiting.since))
    return True
