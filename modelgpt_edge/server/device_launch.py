"""What a launch does on a device: workers begin its jobs, the device's process solves all at once, workers finish them.

Workers begin and finish other launches while the device solves one. A job that is cross-validated is done whole by a worker,
for that is many solves one after the other. Tables and texts of one launch go their ways apart: neither waits for the other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from modelgpt_edge.server.device import solve_launches
from modelgpt_edge.server.jobs import BuildJob, Job, Result, TextsJob
from modelgpt_edge.server.launches import Emitter, Pool, WorkerDiedError
from modelgpt_edge.server.settings import WORKERS, Settings
from modelgpt_edge.server.steps import Adapt, Begin, Emitted, Finish, Packed, Solve, Solved

T = TypeVar("T")


@dataclass(eq=False)
class _Begun:
    """A job, the future for whoever launched it, and the one for its beginning."""

    job: Emitted
    answer: Future[Result]
    packed: Future[Any]


class OnDevice:
    """Launches that are solved on a device.

    Args:
        workers: that begin and finish jobs.
        device: one process, which runs `device.solve_launches`.
        most: bytes that it is handed at a time and gives back, unless one job alone has more.
    """

    gathers = False

    def __init__(self, workers: Pool, device: Pool, most: int) -> None:
        self._workers, self._device, self._most = workers, device, most

    @staticmethod
    def of(workers: Pool, name: str, seconds: float, most: int, on_replaced: Callable[[], None] = lambda: None) -> OnDevice:
        """On a device of some name, a launch of which may take so long, with so many bytes of tables at a time."""
        device = Pool(1, seconds, main=partial(solve_launches, name=name), on_replaced=on_replaced)
        return OnDevice(workers, device, most)

    @property
    def alive(self) -> int:
        """Workers that are up; none counts while the device's process isn't."""
        return self._workers.alive if self._device.alive else 0

    def start(self) -> None:
        """Start all processes, and wait until they are ready."""
        others = threading.Thread(target=self._workers.start)
        others.start()
        self._device.start()
        others.join()

    def launch(self, jobs: Sequence[Job]) -> list[Future[Result]]:
        """A future for each job, in order.

        It raises MemoryError where the device, or a worker, has no memory for so many, and what `Pool.submit`'s does.
        """
        answers: list[Future[Result]] = []
        begun: list[_Begun] = []
        for job in jobs:
            if isinstance(job, BuildJob) or getattr(job, "score", False):
                answers.append(self._workers.submit(job))
                continue
            one = _Begun(job, Future(), self._workers.submit(Begin(job)))
            one.answer.add_done_callback(partial(_let_go, one.packed))
            answers.append(one.answer)
            begun.append(one)
        for texts in (False, True):
            alike = [one for one in begun if isinstance(one.job, TextsJob) is texts]
            if alike:
                threading.Thread(target=self._fly, args=(alike,), name="launch", daemon=True).start()
        return answers

    def close(self) -> None:
        """End all processes, whatever they are at."""
        self._workers.close()
        self._device.close()

    def _fly(self, launched: Sequence[_Begun]) -> None:
        """See a launch through: a job that is refused, or fails, when it is begun leaves the others to go on."""
        drawn: list[tuple[_Begun, Packed]] = []
        for one in launched:
            packed = _outcome(one.packed)
            if not one.answer.set_running_or_notify_cancel():
                continue
            if isinstance(packed, Packed):
                drawn.append((one, packed))
            else:
                _give(one.answer, packed)
        for some in within(drawn, [packed.size for _, packed in drawn], self._most):
            self._solve(some)

    def _solve(self, drawn: Sequence[tuple[_Begun, Packed]]) -> None:
        """Have jobs of one kind solved together, and finished."""
        step = Adapt if isinstance(drawn[0][0].job, TextsJob) else Solve
        solved = _outcome(self._device.submit(step(tuple(packed for _, packed in drawn))))
        if not isinstance(solved, Solved):
            for one, _ in drawn:
                _give(one.answer, solved)
            return
        for (one, packed), made in zip(drawn, solved.made):
            finished = self._workers.submit(Finish(one.job, packed, made, solved.seconds))
            finished.add_done_callback(partial(_hand_on, one.answer))


def emitter_of(settings: Settings, memory: int, on_replaced: Callable[[], None] = lambda: None) -> Emitter:
    """This machine's worker processes, and its device's where it has one.

    Args:
        memory: bytes that a worker may take for a job, and of tables that a device is handed at a time.
    """
    workers = Pool(settings.workers, settings.timeout, memory=memory, on_replaced=on_replaced)
    if settings.device == WORKERS:
        return workers
    return OnDevice.of(workers, settings.device, settings.timeout, memory, on_replaced)


def within(items: Sequence[T], sizes: Sequence[int], most: int) -> Iterator[list[T]]:
    """Items in their order, in runs whose sizes are no more than that together; one that is larger goes alone."""
    run: list[T] = []
    total = 0
    for item, size in zip(items, sizes):
        if run and total + size > most:
            yield run
            run, total = [], 0
        run.append(item)
        total += size
    if run:
        yield run


def _outcome(future: Future[Any]) -> Any:
    """What a future came to, its error as a value."""
    try:
        return future.exception() or future.result()
    except CancelledError:  # the pool is being closed
        return WorkerDiedError()


def _give(answer: Future[Result], outcome: Any) -> None:
    """Answer with a result, or raise an error."""
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)


def _hand_on(answer: Future[Result], finished: Future[Any]) -> None:
    _give(answer, _outcome(finished))


def _let_go(packed: Future[Any], answer: Future[Result]) -> None:
    """Don't begin what nobody waits for any more."""
    if answer.cancelled():
        packed.cancel()
