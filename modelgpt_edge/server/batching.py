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
from functools import partial
from typing import Generic, TypeVar

J = TypeVar("J")
R = TypeVar("R")
# How fast the estimate of jobs answered a second follows what is measured.
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
        kind: of a job: only those of one kind are launched together.
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
        kind: Callable[[J], object] = lambda job: None,
        observe: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._launch, self._most, self._wait, self._kind, self._observe = launch, most, wait, kind, observe
        self._room, self._slots, self._lanes = room, asyncio.Semaphore(room), asyncio.Semaphore(lanes)
        self._queue: deque[Waiting[J, R]] = deque()
        self._arrived = asyncio.Event()
        self._accepted = 0
        # Means of what lies between the ends of two launches: seconds in which some were under way, and jobs answered.
        self._seconds, self._answered, self._marked = 0.0, 0.0, 0.0
        self._flying: set[asyncio.Task[None]] = set()

    @property
    def accepted(self) -> int:
        """Jobs that are accepted and not yet answered."""
        return self._accepted

    def require_room(self) -> None:
        """FullError where a job would be refused now."""
        if self._slots.locked():
            seconds = self._room * self._seconds / self._answered if self._answered else 0.0
            raise FullError(max(1, math.ceil(seconds)))

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
            if not self._flying:
                self._marked = asyncio.get_running_loop().time()
            task = asyncio.create_task(send(self._launch, batch, self._observe))
            self._flying.add(task)
            task.add_done_callback(partial(self._landed, len(batch)))

    def _landed(self, jobs: int, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        self._lanes.release()
        now = task.get_loop().time()
        follow = FOLLOW if self._answered else 1.0
        self._seconds += follow * (now - self._marked - self._seconds)
        self._answered += follow * (jobs - self._answered)
        self._marked = now

    async def _gather(self) -> list[Waiting[J, R]]:
        """The next jobs, at least one: the one that waits longest, and others of its kind."""
        loop = asyncio.get_running_loop()
        while True:
            while self._queue and self._queue[0].answer.done():
                self._queue.popleft()
            left = self._queue[0].since + self._wait - loop.time() if self._queue else None
            if left is not None and (left <= 0 or len(self._queue) >= self._most):
                kind = self._kind(self._queue[0].job)
                wanted = [w for w in self._queue if not w.answer.done()]
                batch = [w for w in wanted if self._kind(w.job) == kind][: self._most]
                taken = set(batch)
                self._queue = deque(w for w in wanted if w not in taken)
                return batch
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), left)
            except asyncio.TimeoutError:  # nobody else came
                continue


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
    except MemoryError as error:
        short = [(w, error) for w in batch]
    except Exception as error:  # a launch that fails as a whole: nobody may wait for it until their time is out
        for waiting in batch:
            if not waiting.answer.done():
                waiting.answer.set_exception(error)
        return
    else:
        told = await asyncio.gather(*(_answer(w, f, len(batch), start) for w, f in zip(batch, futures)))
        short = [(w, error) for w, error in zip(batch, told) if error is not None]
    if short and len(batch) == 1:
        waiting, lacking = short[0]
        if not waiting.answer.done():
            waiting.answer.set_exception(lacking)
        return
    middle = (len(short) + 1) // 2
    for half in (short[:middle], short[middle:]):
        if half:
            await send(launch, [w for w, _ in half], observe)


async def _answer(waiting: Waiting[J, R], future: Future[R], size: int, start: float) -> MemoryError | None:
    """Hand on one result; the error where memory was short."""
    waiting.answer.add_done_callback(lambda answer: future.cancel() if answer.cancelled() else None)
    try:
        result = await asyncio.wrap_future(future)
    except MemoryError as error:
        return error
    except asyncio.CancelledError:
        waiting.answer.cancel()
        return None
    except Exception as error:  # it is the job's to raise, not the batch's
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
        return None
    if not waiting.answer.done():
        waiting.answer.set_result(Answer(result, size, start - waiting.since))
    return None
