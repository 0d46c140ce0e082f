"""What a launch does on CPU cores: its jobs are spread over worker processes, one for each core, warm before the first request.

A worker that dies, or that a job keeps too long, is replaced; that job alone fails. On a GPU a launch will be one batched
emission instead: whatever takes jobs and gives a future for each can stand here.
"""

from __future__ import annotations

import multiprocessing
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from modelgpt_edge.server.jobs import Job, Result
from modelgpt_edge.server.worker import DONE, READY, SHORT, work

Tell = Callable[[str, float], None]
Launch = Callable[[Sequence[Job]], Sequence["Future[Result]"]]
# How often a busy worker's keeper looks whether its job is still wanted, and how long a worker may take to start.
GLANCE, START = 0.2, 120.0


class WorkerDiedError(Exception):
    """A worker process ended in the middle of a job."""


class TooLongError(Exception):
    """A job took longer than a worker may be kept."""


class UnwantedError(Exception):
    """Nobody waits for the job any more."""


@dataclass(eq=False)
class _Task:
    job: Job
    tell: Tell | None
    future: Future[Result] = field(default_factory=Future)
    unwanted: threading.Event = field(default_factory=threading.Event)


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, warm_up: bool, pinned: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs, warm_up, pinned), daemon=True)
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
            MemoryError: the worker is, the job isn't done.
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
            if not self._pipe.poll(GLANCE):
                continue
            kind, *rest = self._receive()
            if kind == DONE:
                result: Result = rest[0]
                return result
            if kind == SHORT:
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
        at_once: whether workers start before there is a job, and emit a little model before they count as ready.
        pinned: whether numpy in them may use one thread alone.
        on_replaced: called when a worker has been replaced.
    """

    def __init__(
        self,
        count: int,
        seconds: float,
        *,
        at_once: bool = True,
        pinned: bool = True,
        on_replaced: Callable[[], None] = lambda: None,
    ) -> None:
        self._seconds, self._at_once, self._pinned, self._on_replaced = seconds, at_once, pinned, on_replaced
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._running: dict[Future[Result], _Task] = {}
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

    def submit(self, job: Job, tell: Tell | None = None) -> Future[Result]:
        """One job, telling its progress.

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
            keeper.join()

    def _forget(self, future: Future[Result]) -> None:
        with self._lock:
            self._running.pop(future, None)

    def _keep(self) -> None:
        """A keeper's life: one worker after the other, and jobs for it."""
        worker = self._new_worker() if self._at_once else None
        self._ready.release()
        while (task := self._tasks.get()) is not None:
            if not task.future.set_running_or_notify_cancel():
                continue
            if worker is not None and not worker.alive:
                self._end(worker)
                worker = None
            worker = worker or self._new_worker()
            try:
                if worker is None:
                    raise WorkerDiedError
                task.future.set_result(worker.run(task, self._seconds))
            except MemoryError as error:
                task.future.set_exception(error)
            except (WorkerDiedError, TooLongError, UnwantedError) as error:
                task.future.set_exception(error)
                if worker is not None:
                    self._end(worker)
                worker = self._new_worker() if self._at_once and not self._closing.is_set() else None
        if worker is not None:
            worker.stop()

    def _new_worker(self) -> _Worker | None:
        """A worker that is ready; None where it doesn't come up."""
        try:
            worker = _Worker(self._at_once, self._pinned)
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
