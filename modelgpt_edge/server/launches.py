"""What a launch does on CPU cores: its jobs are spread over worker processes, one for each core, warm before the first request.

A worker that dies, or that a job keeps too long, is replaced; that job alone fails. Whatever takes jobs and gives a future for
each can stand here: a device's launch does, see `device_launch`.
"""

from __future__ import annotations

import multiprocessing
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Protocol

from modelgpt_edge.server.jobs import Job, Result
from modelgpt_edge.server.memory import fair_share
from modelgpt_edge.server.worker import DONE, NO_MEMORY, READY, work

Tell = Callable[[str, float], None]
Launch = Callable[[Sequence[Job]], Sequence["Future[Result]"]]
# How often a busy worker's keeper looks whether its job is still wanted, and an idle one's whether it is alive; and how long a
# worker may take to start.
BUSY, IDLE, START = 0.2, 1.0, 120.0


class Emitter(Protocol):
    """Who launches jobs, from a server's start to its end.

    Attributes:
        gathers: whether jobs are gathered behind it; it is then handed each at once.
    """

    gathers: bool

    @property
    def alive(self) -> int:
        """Workers or replicas that are up."""

    def start(self) -> None:
        """Come up, and return when ready."""

    def launch(self, jobs: Sequence[Job]) -> Sequence[Future[Result]]:
        """A future for each job; it raises MemoryError, WorkerDiedError or TooLongError where the job isn't done."""

    def close(self) -> None:
        """End."""


class WorkerDiedError(Exception):
    """A worker process ended in the middle of a job."""


class TooLongError(Exception):
    """A job took longer than a worker may be kept."""


class DeviceMemoryError(MemoryError):
    """It is a device's memory that is too short, not a worker's."""


class UnwantedError(Exception):
    """Nobody waits for the job any more."""


@dataclass(eq=False)
class _Task:
    job: object
    tell: Tell | None
    future: Future[Any] = field(default_factory=Future)
    unwanted: threading.Event = field(default_factory=threading.Event)


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, main: Callable[[Connection], None]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=main, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def alive(self) -> bool:
        """Whether the process is."""
        return self._process.is_alive()

    def wait_ready(self) -> None:
        """WorkerDiedError where it doesn't come up."""
        if not self._pipe.poll(START) or self._receive() != (READY,):
            raise WorkerDiedError

    def run(self, task: _Task, seconds: float) -> Result:
        """Do a task.

        Raises:
            WorkerDiedError, TooLongError, UnwantedError: the worker is of no use any more.
            MemoryError: nor is it then, for what the job has left in its memory nobody knows.
        """
        end = time.monotonic() + seconds
        try:
            self._pipe.send(task.job)
        except OSError as error:
            raise WorkerDiedError from error
        while True:
            if task.unwanted.is_set():
                raise UnwantedError
            if time.monotonic() > end:
                raise TooLongError
            if not self._pipe.poll(BUSY):
                continue
            kind, *rest = self._receive()
            if kind == DONE:
                result: Result = rest[0]
                return result
            if kind == NO_MEMORY:
                raise MemoryError
            if task.tell is not None:
                task.tell(*rest)

    def _receive(self) -> Any:
        try:
            return self._pipe.recv()
        except (EOFError, OSError) as error:
            raise WorkerDiedError from error

    def stop(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.kill()
        self._process.join()


class Pool:
    """Worker processes and the jobs that wait for them.

    Args:
        count: processes.
        seconds: the longest that a job may run.
        memory: bytes that a worker may take for a job; a fair share of the machine's where not given.
        at_once: whether workers start before there is a job, and emit a little model before they count as ready.
        pinned: whether numpy in them may use one thread alone.
        main: what a process does with its pipe, where it isn't a worker: say that it is ready, and answer each thing sent.
        on_replaced: called when a worker has been replaced.
    """

    gathers = False

    def __init__(
        self,
        count: int,
        seconds: float,
        *,
        memory: int | None = None,
        at_once: bool = True,
        pinned: bool = True,
        main: Callable[[Connection], None] | None = None,
        on_replaced: Callable[[], None] = lambda: None,
    ) -> None:
        self._seconds, self._at_once, self._on_replaced = seconds, at_once, on_replaced
        memory = fair_share(count) if memory is None else memory
        self._main = main or partial(work, warm_up=at_once, pinned=pinned, memory=memory)
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._running: dict[Future[Any], _Task] = {}
        self._closing = threading.Event()
        self._ready = threading.Semaphore(0)
        self._alive = 0
        self._lock = threading.Lock()
        self._keepers = [threading.Thread(target=self._keep, name=f"worker-{n}", daemon=True) for n in range(count)]

    @property
    def alive(self) -> int:
        """Workers that are up."""
        return self._alive

    def start(self) -> None:
        """Start the workers, and wait until all are ready."""
        for keeper in self._keepers:
            keeper.start()
        for _ in self._keepers:
            self._ready.acquire()

    def launch(self, jobs: Sequence[Job]) -> list[Future[Result]]:
        """Spread jobs over the workers; each future is done as soon as its own job is."""
        return [self.submit(job) for job in jobs]

    def submit(self, job: object, tell: Tell | None = None) -> Future[Any]:
        """One job, or a part of one, telling its progress.

        The future raises MemoryError, WorkerDiedError or TooLongError where the job isn't done.
        """
        task = _Task(job, tell)
        with self._lock:
            self._running[task.future] = task
        task.future.add_done_callback(self._forget)
        self._tasks.put(task)
        return task.future

    def abandon(self, future: Future[Result]) -> None:
        """Nobody waits for this any more: it isn't begun, or its worker is ended and replaced."""
        future.cancel()
        with self._lock:
            task = self._running.get(future)
        if task is not None:
            task.unwanted.set()

    def close(self) -> None:
        """End the workers, whatever they are at."""
        self._closing.set()
        with self._lock:
            left = list(self._running.values())
        for task in left:
            task.future.cancel()
            task.unwanted.set()
        for _ in self._keepers:
            self._tasks.put(None)
        for keeper in self._keepers:
            if keeper.ident is not None:  # it was started
                keeper.join()

    def _forget(self, future: Future[Result]) -> None:
        with self._lock:
            self._running.pop(future, None)

    def _keep(self) -> None:
        """A keeper's life: one worker after the other, and jobs for it."""
        worker = self._new_worker() if self._at_once else None
        self._ready.release()
        while not self._closing.is_set():
            try:
                task = self._tasks.get(timeout=IDLE)
            except queue.Empty:
                if self._at_once:
                    worker = self._living(worker)
                continue
            if task is None or not task.future.set_running_or_notify_cancel():
                continue
            worker = self._living(worker)
            try:
                if worker is None:
                    raise WorkerDiedError
                task.future.set_result(worker.run(task, self._seconds))
            except (MemoryError, WorkerDiedError, TooLongError, UnwantedError) as error:
                task.future.set_exception(error)
                if worker is not None:
                    self._end(worker)
                worker = self._new_worker() if self._at_once and not self._closing.is_set() else None
        if worker is not None:
            worker.stop()

    def _living(self, worker: _Worker | None) -> _Worker | None:
        """The worker, or another one where it isn't alive any more."""
        if worker is not None and worker.alive:
            return worker
        if worker is not None:
            self._end(worker)
        return self._new_worker()

    def _new_worker(self) -> _Worker | None:
        """A worker that is ready; None where it doesn't come up."""
        try:
            worker = _Worker(self._main)
        except OSError:  # the machine has no process left to give
            return None
        try:
            worker.wait_ready()
        except WorkerDiedError:
            worker.stop()
            return None
        with self._lock:
            self._alive += 1
        return worker

    def _end(self, worker: _Worker) -> None:
        """End a worker that another will stand in for."""
        worker.stop()
        with self._lock:
            self._alive -= 1
        self._on_replaced()
