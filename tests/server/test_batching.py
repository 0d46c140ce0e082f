"""The batcher alone, with real launches: plain callables that answer from threads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from modelgpt_edge.server.batching import Batcher, FullError


class Clock(asyncio.SelectorEventLoop):
    """A loop whose time stands still while there is something to do, and then leaps: a sleep ends when all else waits.

    What answers from other threads would come too late for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._now, self._ask = 0.0, self._selector.select
        self._selector.select = self._leap

    def time(self) -> float:
        return self._now

    def _leap(self, timeout: float | None = None) -> list[Any]:
        events = self._ask(0)
        if not events and timeout:
            self._now += timeout
        return events


def _run(test: Callable[[], Any]) -> Any:
    loop = Clock()
    try:
        return loop.run_until_complete(asyncio.wait_for(test(), 10_000))
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                loop.run_until_complete(task)
        loop.close()


class Launches:
    """A launch that squares numbers, holds them until `gate` opens, and has memory for few at a time."""

    def __init__(self, memory: int = 1000) -> None:
        self.memory, self.sizes = memory, []
        self.gate = asyncio.Event()
        self.loop = asyncio.get_running_loop()

    def __call__(self, jobs: Sequence[int]) -> list[Future[int]]:
        self.sizes.append(len(jobs))
        if len(jobs) > self.memory:
            raise MemoryError
        futures: list[Future[int]] = [Future() for _ in jobs]
        self.answering = asyncio.ensure_future(self._answer(jobs, futures))
        return futures

    async def _answer(self, jobs: Sequence[int], futures: Sequence[Future[int]]) -> None:
        await self.gate.wait()
        for job, future in zip(jobs, futures):
            if future.set_running_or_notify_cancel():
                if job < 0:
                    future.set_exception(ValueError(f"{job} is negative"))
                else:
                    future.set_result(job * job)


def _batcher(launch: Callable[..., Any], **options: Any) -> Batcher[int, int]:
    return Batcher(launch, **{"most": 8, "wait": 0.02, "room": 100, "lanes": 1, **options})


def test_jobs_that_come_together_are_launched_together_and_each_gets_its_own_answer():
    async def run() -> None:
        launch = Launches()
        launch.gate.set()
        batcher = _batcher(launch)
        running = asyncio.create_task(batcher.run())
        answers = await asyncio.gather(*(batcher.submit(n) for n in range(20)))
        assert [a.result for a in answers] == [n * n for n in range(20)]
        assert launch.sizes == [8, 8, 4]
        assert [a.batch for a in answers] == [8] * 16 + [4] * 4
        assert batcher.accepted == 0
        running.cancel()

    _run(run)


def test_a_launch_holds_jobs_of_one_kind_that_of_the_longest_waiting_first():
    async def run() -> None:
        launch = Launches()
        launch.gate.set()
        batcher = _batcher(launch, most=3, lanes=1, kind=lambda n: n % 2)
        running = asyncio.create_task(batcher.run())
        answers = await asyncio.gather(*(batcher.submit(n) for n in (1, 2, 4, 3, 5, 7, 6)))
        assert [a.result for a in answers] == [1, 4, 16, 9, 25, 49, 36]
        assert [a.batch for a in answers] == [3, 3, 3, 3, 3, 1, 3]
        assert launch.sizes == [3, 3, 1]
        running.cancel()

    _run(run)


def test_one_job_alone_is_launched_after_the_wait():
    async def run() -> None:
        launch = Launches()
        launch.gate.set()
        batcher = _batcher(launch)
        running = asyncio.create_task(batcher.run())
        answer = await batcher.submit(7)
        assert (answer.result, answer.batch) == (49, 1)
        assert answer.waited == pytest.approx(0.02)
        running.cancel()

    _run(run)


def test_no_more_launches_are_under_way_than_there_are_lanes():
    async def run() -> None:
        launch = Launches()
        batcher = _batcher(launch, most=2, lanes=2)
        running = asyncio.create_task(batcher.run())
        waiting = [asyncio.create_task(batcher.submit(n)) for n in range(10)]
        await asyncio.sleep(0.1)
        assert launch.sizes == [2, 2]
        launch.gate.set()
        assert [a.result for a in await asyncio.gather(*waiting)] == [n * n for n in range(10)]
        assert launch.sizes == [2] * 5
        running.cancel()

    _run(run)


def test_what_has_no_room_is_refused_and_who_is_patient_waits():
    async def run() -> None:
        launch = Launches()
        batcher = _batcher(launch, room=3)
        running = asyncio.create_task(batcher.run())
        waiting = [asyncio.create_task(batcher.submit(n)) for n in range(3)]
        await asyncio.sleep(0.05)
        with pytest.raises(FullError) as full:
            await batcher.submit(3)
        assert full.value.seconds >= 1
        patient = asyncio.create_task(batcher.submit(4, patient=True))
        launch.gate.set()
        assert [a.result for a in await asyncio.gather(*waiting)] == [0, 1, 4]
        assert (await patient).result == 16
        assert (await batcher.submit(5)).result == 25, "room was lost"
        running.cancel()

    _run(run)


def test_one_jobs_fault_is_its_own():
    async def run() -> None:
        launch = Launches()
        launch.gate.set()
        batcher = _batcher(launch)
        running = asyncio.create_task(batcher.run())
        told = await asyncio.gather(*(batcher.submit(n) for n in (1, -2, 3)), return_exceptions=True)
        assert [told[0].result, told[2].result] == [1, 9]
        assert isinstance(told[1], ValueError)
        running.cancel()

    _run(run)


def test_a_batch_that_memory_is_too_short_for_is_halved_until_it_fits():
    async def run() -> None:
        launch = Launches(memory=3)
        launch.gate.set()
        batcher = _batcher(launch)
        running = asyncio.create_task(batcher.run())
        answers = await asyncio.gather(*(batcher.submit(n) for n in range(8)))
        assert [a.result for a in answers] == [n * n for n in range(8)]
        assert launch.sizes == [8, 4, 2, 2, 4, 2, 2]
        running.cancel()

    _run(run)


def test_a_job_that_memory_is_too_short_for_alone_fails_and_the_next_ones_do_not():
    async def run() -> None:
        launch = Launches(memory=0)
        batcher = _batcher(launch)
        launch.gate.set()
        running = asyncio.create_task(batcher.run())
        told = await asyncio.gather(*(batcher.submit(n) for n in range(3)), return_exceptions=True)
        assert [type(t) for t in told] == [MemoryError] * 3
        launch.memory = 8
        assert (await batcher.submit(6)).result == 36
        running.cancel()

    _run(run)


def test_jobs_of_a_batch_that_are_short_of_memory_each_are_tried_again():
    tries: list[list[int]] = []

    async def run() -> None:
        with ThreadPoolExecutor(2) as pool:

            def one(job: int, together: int) -> int:
                if job % 2 and together > 1:
                    raise MemoryError
                return job * job

            def launch(jobs: Sequence[int]) -> list[Future[int]]:
                tries.append(list(jobs))
                return [pool.submit(one, job, len(jobs)) for job in jobs]

            batcher = _batcher(launch)
            running = asyncio.create_task(batcher.run())
            answers = await asyncio.gather(*(batcher.submit(n) for n in range(4)))
            assert [a.result for a in answers] == [0, 1, 4, 9]
            running.cancel()

    asyncio.run(asyncio.wait_for(run(), 60))
    assert tries == [[0, 1, 2, 3], [1], [3]]


def test_a_job_that_nobody_waits_for_is_not_launched_and_its_room_is_free():
    async def run() -> None:
        launch = Launches()
        batcher = _batcher(launch, most=1, room=2)
        running = asyncio.create_task(batcher.run())
        first = asyncio.create_task(batcher.submit(1))
        await asyncio.sleep(0.05)
        second = asyncio.create_task(batcher.submit(2))
        await asyncio.sleep(0.05)
        second.cancel()
        await asyncio.sleep(0)
        third = asyncio.create_task(batcher.submit(3))
        await asyncio.sleep(0.05)
        launch.gate.set()
        assert [(await first).result, (await third).result] == [1, 9]
        assert len(launch.sizes) == 2
        running.cancel()

    _run(run)


@pytest.mark.parametrize(("lanes", "most", "room"), [(1, 8, 32), (2, 8, 32), (3, 64, 256), (16, 1, 16), (64, 1, 64)])
@pytest.mark.parametrize("rate", [0.5, 4, 60])
def test_who_is_refused_is_told_about_how_long_all_that_was_accepted_takes(lanes, most, room, rate):
    """Whatever launches: so many jobs are answered a second, one after the other in the order in which they came."""

    async def run() -> None:
        loop, free = asyncio.get_running_loop(), 0.0

        def launch(jobs: Sequence[int]) -> list[Future[int]]:
            nonlocal free
            futures: list[Future[int]] = []
            for job in jobs:
                free = max(free, loop.time()) + 1 / rate
                futures.append(Future())
                loop.call_at(free, futures[-1].set_result, job)
            return futures

        batcher = _batcher(launch, lanes=lanes, most=most, room=room)
        running = asyncio.create_task(batcher.run())

        async def client() -> None:
            for _ in range(4):
                await batcher.submit(0, patient=True)
                with contextlib.suppress(FullError):
                    await batcher.submit(0)

        crowd = [asyncio.create_task(client()) for _ in range(2 * room)]
        await asyncio.sleep(3 * room / rate)
        with pytest.raises(FullError) as full:
            batcher.require_room()
        assert max(1, room / rate) / 3 <= full.value.seconds <= 3 * max(1, room / rate)
        for task in (*crowd, running):
            task.cancel()

    _run(run)
