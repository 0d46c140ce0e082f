"""Launches on a device: a GPU's path on torch's CPU device, against what workers emit, in whatever company; and its faults."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
import torch  # noqa: TID251 - the device is torch's
from safetensors.numpy import save
from scipy.special import softmax
from threadpoolctl import threadpool_limits

from modelgpt_edge.child import Child, Encoder, Units
from modelgpt_edge.child_file import read_child
from modelgpt_edge.parameters import batched
from modelgpt_edge.server import device
from modelgpt_edge.server.batching import Batcher
from modelgpt_edge.server.device_launch import OnDevice
from modelgpt_edge.server.emission import do
from modelgpt_edge.server.jobs import Done, Job, ProfileJob, RefitJob, Result, RowsJob
from modelgpt_edge.server.launches import DeviceMemoryError, Pool, WorkerDiedError
from modelgpt_edge.server.settings import TORCH_CPU
from modelgpt_edge.server.steps import Begin, Solve

SECONDS = 100
# Bytes of tables that a device is handed at a time.
MOST = 1 << 30
TASK = "predict the outcome"
PROFILE = {"Content-Type": "application/x-safetensors"}


@pytest.fixture(autouse=True)
def _one_thread():
    with threadpool_limits(1, "blas"):
        yield


A_GPU = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="torch.cuda sees no GPU")]


@pytest.fixture(scope="module", params=[TORCH_CPU, pytest.param("cuda", marks=A_GPU)])
def on_device(request) -> Iterator[OnDevice]:
    launch = OnDevice.of(Pool(2, SECONDS), request.param, SECONDS, MOST)
    launch.start()
    yield launch
    launch.close()


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Callable[..., Path]:
    """Writes an encoded table of a curved rule: one-hot classes, or values where there is one output."""

    def write(seed: int, rows: int = 60, columns: int = 4, outputs: int = 2, scale: float = 1.0) -> Path:
        path = tmp_path_factory.mktemp("profiles") / "profile.safetensors"
        encoded, targets = drawn(seed, rows, columns, outputs)
        path.write_bytes(save({"encoded": encoded * np.float32(scale), "targets": targets}))
        return path

    return write


def drawn(seed: int, rows: int, columns: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows, and targets that are the same function of them for every seed."""
    encoded = np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)
    said = np.stack([np.sin(2 * encoded[:, k % columns]) + encoded[:, (k + 1) % columns] ** 2 for k in range(outputs)], axis=1)
    if outputs == 1:
        return encoded, ((said - said.mean()) / said.std()).astype(np.float32)
    return encoded, np.eye(outputs, dtype=np.float32)[(said - said.mean(0)).argmax(1)]


@pytest.fixture
def child_of(tmp_path) -> Callable[[Result, Job], Child]:
    """The child that an answer holds; of a profile the encoder passes columns through."""

    def read(result: Result, job: Job) -> Child:
        assert isinstance(result, Done), result
        (tmp_path / "child").write_bytes(result.content)
        if not isinstance(job, ProfileJob):
            return read_child(tmp_path / "child")
        from safetensors.numpy import load

        tensors = load(result.content)
        units = Units(**{name.removeprefix("units."): a for name, a in tensors.items() if name.startswith("units.")})
        return Child(encoder(len(units.dense_weight)), units, tensors["head_weight"], tensors["head_bias"], ())

    return read


def encoder(width: int) -> Encoder:
    """Of columns that are encoded already."""
    from modelgpt_edge.parameters.quick import _through

    return _through(tuple(f"c{c}" for c in range(width)))


def results(launch: OnDevice, jobs: Sequence[Job]) -> list[Result]:
    return [future.result(SECONDS) for future in launch.launch(jobs)]


# ---- what comes of it


@pytest.mark.parametrize("outputs", [1, 2, 3])
@pytest.mark.parametrize("units", [0, 640, 1280, 40, None])
def test_children_say_what_the_workers_own_say(units, outputs, on_device, table, child_of):
    """Bits differ: the host's solver has a float32 spectrum for all penalties, the device's a float64 factor for each, and
    logistic heads stop within a tolerance of the optimum, not at it. A distilled child may keep other units then.
    """
    job = ProfileJob(table(outputs, 90, 4, outputs), units, 2 if units == 1280 else 1)
    (answer,), host = results(on_device, [job]), do(job)
    mine, theirs = child_of(answer, job), child_of(host, job)
    fresh, _ = drawn(99, 300, 4, outputs)
    said, wanted = mine.scores(fresh), theirs.scores(fresh)
    if units in (0, 640, 1280):  # not distilled: the same units, to the bit
        assert mine.units.dense_weight.tobytes() == theirs.units.dense_weight.tobytes()
        assert mine.units.leaf_bias.tobytes() == theirs.units.leaf_bias.tobytes()
    if outputs == 1:
        assert np.abs(said - wanted).max() < 1e-3 * np.abs(wanted).max()
        return
    apart = np.abs(softmax(said, -1) - softmax(wanted, -1))
    assert apart.mean() < 1e-3
    assert apart.max() < 1e-2


def test_rows_packages_and_profiles_give_the_same_bits_alone_and_in_any_company(on_device, table, csv, package, tmp_path):
    (tmp_path / "rows.csv").write_bytes(csv)
    jobs: list[Job] = [
        RowsJob(tmp_path / "rows.csv", TASK),
        RowsJob(tmp_path / "rows.csv", "predict the weight", "weight", draws=2, seed=4),
        RowsJob(tmp_path / "rows.csv", TASK, units=0),
        RefitJob(package, tmp_path / "rows.csv", 5),
        *(ProfileJob(table(n, 60 + n, 4, 1 + n % 3), (None, 640, 20)[n % 3], seed=n) for n in range(6)),
        ProfileJob(table(0, 61, 5, 2), 640, 4),
    ]
    together = results(on_device, jobs)
    assert all(isinstance(r, Done) for r in together), together
    others = [5, 3, 0, 10]
    for place, result in zip(others, results(on_device, [jobs[p] for p in others])):
        assert result.content == together[place].content
    for job, result in zip(jobs, together):
        assert results(on_device, [job])[0].content == result.content
    assert together[0].facts.items() >= {"label": "outcome", "rows": 60}.items()
    assert together[0].facts["seconds"] > 0


def test_a_table_of_words_and_numbers_predicts_as_a_workers_does(on_device, csv, patients, child_of, tmp_path):
    (tmp_path / "rows.csv").write_bytes(csv)
    job = RowsJob(tmp_path / "rows.csv", TASK)
    (answer,) = results(on_device, [job])
    mine, theirs = child_of(answer, job), child_of(do(job), job)
    numbers = {name: np.array([row[name] for row in patients], np.float32) for name in ("age", "weight")}
    words = {"city": np.array([row["city"] for row in patients], object)}
    packed = mine.encoder.pack(numbers, words, len(patients))
    assert mine.classes == theirs.classes == ("ill", "well")
    assert np.abs(mine.outputs(mine.encoder.encode(*packed)) - theirs.outputs(theirs.encoder.encode(*packed))).max() < 1e-2


def test_what_is_cross_validated_is_a_workers_own(on_device, csv, tmp_path):
    (tmp_path / "rows.csv").write_bytes(csv)
    job = RowsJob(tmp_path / "rows.csv", TASK, units=20, score=True)
    (answer,) = results(on_device, [job])
    assert answer.content == do(job).content
    assert answer.facts["score"]["value"] > 0.5


# ---- what goes wrong


def test_one_jobs_fault_is_its_own(on_device, table):
    good, huge = ProfileJob(table(1), 640), ProfileJob(table(2, scale=1e38), 640)
    absent, odd = ProfileJob(Path("nowhere"), 640), ProfileJob(table(3), 30)
    first, unsolved, unread, refused, last = results(on_device, [good, huge, absent, odd, good])
    assert first.content == last.content == results(on_device, [good])[0].content
    assert [r.status for r in (unsolved, unread, refused)] == [500, 422, 422]
    assert unsolved.error["error"] == "the weights can't be solved"
    assert unsolved.error["code"] == 3
    assert unread.error["error"] == "this is no safetensors file"
    assert refused.error["where"] == "units"


def test_a_table_that_the_solver_raises_for_spoils_no_other(workers, table, monkeypatch):
    """No table is known that it raises for; one of a seed stands for it."""
    jobs = [ProfileJob(table(n), 640, seed=n) for n in range(4)]
    whole = batched.solve_batch
    begun = [workers.submit(Begin(job)).result(SECONDS) for job in jobs]
    bad = begun[2].values()[0].ready.encoded

    def solve(drawn, widths, place):
        if any(np.array_equal(one.encoded, bad) for one in drawn):
            raise torch.linalg.LinAlgError("linalg.eigh: it didn't converge")
        return whole(drawn, widths, place)

    monkeypatch.setattr(batched, "solve_batch", solve)
    answers = results(OnDevice(workers, Narrow(9), MOST), jobs)
    assert [isinstance(a, Done) for a in answers] == [True, True, False, True]
    assert (answers[2].status, answers[2].error["error"]) == (500, "the weights can't be solved")
    monkeypatch.undo()
    assert [a.content for a in results(OnDevice(workers, Narrow(9), MOST), [jobs[0], jobs[3]])] == [
        answers[0].content,
        answers[3].content,
    ]


def test_a_device_that_computes_nothing_any_more_is_no_tables_fault(workers, table, monkeypatch):
    def dead(*_, **__):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    packed = workers.submit(Begin(ProfileJob(table(1), 640))).result(SECONDS)
    monkeypatch.setattr(batched, "solve_batch", dead)
    monkeypatch.setattr(torch, "ones", dead)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        device.solve_launch(Solve((packed, packed)), torch.device("cpu"))


def test_a_device_is_handed_so_many_bytes_at_a_time_and_the_bits_are_the_same(workers, table):
    jobs = [ProfileJob(table(n), 640, seed=n) for n in range(5)]
    size = len(workers.submit(Begin(jobs[0])).result(SECONDS).content)
    together, parted, alone = Narrow(9), Narrow(9), Narrow(9)
    answers = results(OnDevice(workers, together, MOST), jobs)
    assert [a.content for a in results(OnDevice(workers, parted, 2 * size + size // 2), jobs)] == [a.content for a in answers]
    assert [a.content for a in results(OnDevice(workers, alone, 1), jobs)] == [a.content for a in answers]
    assert (together.sizes, parted.sizes, alone.sizes) == ([5], [2, 2, 1], [1] * 5)


class Narrow:
    """A device in this process that has memory for few tables at a time."""

    alive = 1

    def __init__(self, most: int) -> None:
        self.most, self.sizes = most, []

    def submit(self, launch: Solve) -> Future:
        self.sizes.append(len(launch.begun))
        future: Future = Future()
        short = len(launch.begun) > self.most
        future.set_result(DeviceMemoryError() if short else device.solve_launch(launch, torch.device("cpu")))
        return future


@pytest.fixture
def workers() -> Iterator[Pool]:
    pool = Pool(1, SECONDS)
    pool.start()
    yield pool
    pool.close()


def test_a_launch_that_the_device_has_no_memory_for_is_halved(workers, table):
    jobs = [ProfileJob(table(n), 640, seed=n) for n in range(5)]

    async def run(most: int) -> tuple[list[int], list[object]]:
        narrow = Narrow(most)
        batcher = Batcher[Job, Result](OnDevice(workers, narrow, MOST).launch, most=8, wait=0.2, room=9, lanes=1)
        running = asyncio.create_task(batcher.run())
        answers = await asyncio.gather(*map(batcher.submit, jobs), return_exceptions=True)
        running.cancel()
        return narrow.sizes, answers

    sizes, answers = asyncio.run(run(2))
    assert sizes == [5, 3, 2, 1, 2]
    assert [a.result.content for a in answers] == [r.content for r in results(OnDevice(workers, Narrow(5), MOST), jobs)]
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


def test_memory_that_torch_cannot_have_is_a_memory_error_and_the_process_goes_on(own, table):
    launch, pid, replaced = own
    process = pid()
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[0])
    room = pages * resource.getpagesize() + (256 << 20)
    resource.prlimit(process, resource.RLIMIT_AS, (room, room))
    large, small = ProfileJob(table(0, 4000, 500), 640), ProfileJob(table(1), 640)
    with pytest.raises(DeviceMemoryError):
        launch.launch([large])[0].result(SECONDS)
    assert isinstance(results(launch, [small])[0], Done)
    assert (pid(), replaced) == (process, [])


def test_a_device_that_dies_fails_its_launch_alone_and_is_replaced(own, table, until):
    launch, pid, replaced = own
    job, process = ProfileJob(table(1), 640), pid()
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


def test_what_nobody_waits_for_is_not_solved(workers, table):
    narrow = Narrow(5)
    stopped = multiprocessing.active_children()
    for process in stopped:
        os.kill(int(process.pid or 0), signal.SIGSTOP)
    first, second = OnDevice(workers, narrow, MOST).launch([ProfileJob(table(1), 640), ProfileJob(table(2), 640)])
    assert first.cancel()
    for process in stopped:
        os.kill(int(process.pid or 0), signal.SIGCONT)
    assert isinstance(second.result(SECONDS), Done)
    assert narrow.sizes == [1]


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
