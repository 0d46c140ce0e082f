"""What goes wrong with launches on a device: a solver that raises, memory that is short, a process that dies."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch  # noqa: TID251 - the device is torch's

from modelgpt_edge.parameters import batched
from modelgpt_edge.server import device
from modelgpt_edge.server.batching import Batcher
from modelgpt_edge.server.device_launch import OnDevice
from modelgpt_edge.server.jobs import Done, Job, ProfileJob, Result
from modelgpt_edge.server.launches import DeviceMemoryError, Pool, WorkerDiedError
from modelgpt_edge.server.settings import TORCH_CPU
from modelgpt_edge.server.steps import Begin, Solve

pytestmark = pytest.mark.usefixtures("one_thread")
SECONDS = 100
# Bytes of tables that a device is handed at a time.
MOST = 1 << 30


def results(launch: OnDevice, jobs: Sequence[Job]) -> list[Result]:
    return [future.result(SECONDS) for future in launch.launch(jobs)]


def test_a_table_that_the_solver_raises_for_spoils_no_other(workers, profile_file, monkeypatch, narrow):
    """No table is known that it raises for; one of a seed stands for it."""
    jobs = [ProfileJob(profile_file(n), 640, seed=n) for n in range(4)]
    whole = batched.solve_batch
    begun = [workers.submit(Begin(job)).result(SECONDS) for job in jobs]
    bad = begun[2].values()[0].ready.encoded

    def solve(drawn, widths, place):
        if any(np.array_equal(one.encoded, bad) for one in drawn):
            raise torch.linalg.LinAlgError("linalg.eigh: it didn't converge")
        return whole(drawn, widths, place)

    monkeypatch.setattr(batched, "solve_batch", solve)
    answers = results(OnDevice(workers, narrow(9), MOST), jobs)
    assert [isinstance(a, Done) for a in answers] == [True, True, False, True]
    assert (answers[2].status, answers[2].error["error"]) == (500, "the weights can't be solved")
    monkeypatch.undo()
    assert [a.content for a in results(OnDevice(workers, narrow(9), MOST), [jobs[0], jobs[3]])] == [
        answers[0].content,
        answers[3].content,
    ]


def test_a_device_that_computes_nothing_any_more_is_no_tables_fault(workers, profile_file, monkeypatch):
    def dead(*_, **__):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    packed = workers.submit(Begin(ProfileJob(profile_file(1), 640))).result(SECONDS)
    monkeypatch.setattr(batched, "solve_batch", dead)
    monkeypatch.setattr(torch, "ones", dead)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        device.solve_launch(Solve((packed, packed)), torch.device("cpu"))


def test_a_device_is_handed_so_many_bytes_at_a_time_and_the_bits_are_the_same(workers, profile_file, narrow):
    jobs = [ProfileJob(profile_file(n), 640, seed=n) for n in range(5)]
    size = len(workers.submit(Begin(jobs[0])).result(SECONDS).content)
    together, parted, alone = narrow(9), narrow(9), narrow(9)
    answers = results(OnDevice(workers, together, MOST), jobs)
    assert [a.content for a in results(OnDevice(workers, parted, 2 * size + size // 2), jobs)] == [a.content for a in answers]
    assert [a.content for a in results(OnDevice(workers, alone, 1), jobs)] == [a.content for a in answers]
    assert (together.sizes, parted.sizes, alone.sizes) == ([5], [2, 2, 1], [1] * 5)


@pytest.fixture
def workers() -> Iterator[Pool]:
    pool = Pool(1, SECONDS)
    pool.start()
    yield pool
    pool.close()


def test_a_launch_that_the_device_has_no_memory_for_is_halved(workers, profile_file, narrow):
    jobs = [ProfileJob(profile_file(n), 640, seed=n) for n in range(5)]

    async def run(most: int) -> tuple[list[int], list[object]]:
        few = narrow(most)
        batcher = Batcher[Job, Result](OnDevice(workers, few, MOST).launch, most=8, wait=0.2, room=9, lanes=1)
        running = asyncio.create_task(batcher.run())
        answers = await asyncio.gather(*map(batcher.submit, jobs), return_exceptions=True)
        running.cancel()
        return few.sizes, answers

    sizes, answers = asyncio.run(run(2))
    assert sizes == [5, 3, 2, 1, 2]
    assert [a.result.content for a in answers] == [r.content for r in results(OnDevice(workers, narrow(5), MOST), jobs)]
    sizes, answers = asyncio.run(run(0))
    assert [type(a) for a in answers] == [DeviceMemoryError] * 5


@pytest.fixture
def own() -> Iterator[tuple[OnDevice, Callable[[], int], list[None]]]:
    """A device's launch of its own, what tells its process, and how often that was replaced."""
    replaced: list[None] = []
    before = set(multiprocessing.active_children())
    pool = Pool(1, SECONDS)
    pool.start()
    workers = set(multiprocessing.active_children())
    launch = OnDevice.of(pool, TORCH_CPU, SECONDS, MOST, lambda: replaced.append(None))
    launch._device.start()

    def pid() -> int:
        (process,) = set(multiprocessing.active_children()) - before - workers
        return int(process.pid or 0)

    yield launch, pid, replaced
    launch.close()


def test_memory_that_torch_cannot_have_is_a_memory_error_and_the_process_goes_on(own, profile_file):
    launch, pid, replaced = own
    process = pid()
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[0])
    room = pages * resource.getpagesize() + (256 << 20)
    resource.prlimit(process, resource.RLIMIT_AS, (room, room))
    large, small = ProfileJob(profile_file(0, 4000, 500), 640), ProfileJob(profile_file(1), 640)
    with pytest.raises(DeviceMemoryError):
        launch.launch([large])[0].result(SECONDS)
    assert isinstance(results(launch, [small])[0], Done)
    assert (pid(), replaced) == (process, [])


def test_a_device_that_dies_fails_its_launch_alone_and_is_replaced(own, profile_file, until):
    launch, pid, replaced = own
    job, process = ProfileJob(profile_file(1), 640), pid()
    os.kill(process, signal.SIGSTOP)
    futures = launch.launch([job, job])
    # The device's own task: one that hadn't begun would go to the next process.
    until(lambda: any(task.running() for task in launch._device._running))
    os.kill(process, signal.SIGKILL)
    for future in futures:
        with pytest.raises(WorkerDiedError):
            future.result(SECONDS)
    until(lambda: replaced == [None] and launch.alive == 1)
    assert pid() != process
    assert isinstance(results(launch, [job])[0], Done)


def test_what_nobody_waits_for_is_not_solved(workers, profile_file, narrow):
    five = narrow(5)
    stopped = multiprocessing.active_children()
    for process in stopped:
        os.kill(int(process.pid or 0), signal.SIGSTOP)
    first, second = OnDevice(workers, five, MOST).launch([ProfileJob(profile_file(1), 640), ProfileJob(profile_file(2), 640)])
    assert first.cancel()
    for process in stopped:
        os.kill(int(process.pid or 0), signal.SIGCONT)
    assert isinstance(second.result(SECONDS), Done)
    assert five.sizes == [1]


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:127] data. DefaultCPUAllocator: can't allocate memory: 12"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
    ],
)
def test_what_says_that_memory_is_short(error, short):
    assert device.is_short(error) == short
