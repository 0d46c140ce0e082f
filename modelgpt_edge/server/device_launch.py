"""What a launch does on a device: workers begin its jobs, the device's process solves all heads at once, workers finish them.

Workers begin and finish other launches while the device solves one. A job that is cross-validated is done whole by a worker,
for that is many solves one after the other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from modelgpt_edge.server.device import solve_launches
from modelgpt_edge.server.jobs import BuildJob, Job, Result
from modelgpt_edge.server.launches import Emitter, Pool, WorkerDiedError
from modelgpt_edge.server.parts import Begin, Emitted, Finish, Packed, Solve, Solved
from modelgpt_edge.server.settings import WORKERS, Settings


@dataclass(eq=False)
class _Part:
    """A job, the future for whoever launched it, and the one for its beginning."""

    job: Emitted
    answer: Future[Result]
    begun: Future[Any]


class OnDevice:
    """Launches that are solved on a device.

    Args:
        workers: that begin and finish jobs.
        device: one process, which runs `device.solve_launches`.
    """

    gathers = False

    def __init__(self, workers: Pool, device: Pool) -> None:
        self._workers, self._device = workers, device

    @staticmethod
    def of(workers: Pool, name: str, seconds: float, on_replaced: Callable[[], None]) -> OnDevice:
        """On a device of some name, a launch of which may take so long."""
        return OnDevice(workers, Pool(1, seconds, main=partial(solve_launches, name=name), on_replaced=on_replaced))

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
        parts: list[_Part] = []
        for job in jobs:
            if isinstance(job, BuildJob) or getattr(job, "score", False):
                answers.append(self._workers.submit(job))
                continue
            part = _Part(job, Future(), self._workers.submit(Begin(job)))
            part.answer.add_done_callback(partial(_let_go, part.begun))
            answers.append(part.answer)
            parts.append(part)
        if parts:
            threading.Thread(target=self._fly, args=(parts,), name="launch", daemon=True).start()
        return answers

    def close(self) -> None:
        """End all processes, whatever they are at."""
        self._workers.close()
        self._device.close()

    def _fly(self, parts: Sequence[_Part]) -> None:
        """See a launch through: a job that is refused, or fails, when it is begun leaves the others to go on."""
        drawn: list[tuple[_Part, Packed]] = []
        for part in parts:
            begun = _outcome(part.begun)
            if not part.answer.set_running_or_notify_cancel():
                continue
            if isinstance(begun, Packed):
                drawn.append((part, begun))
            else:
                _give(part.answer, begun)
        if not drawn:
            return
        solved = _outcome(self._device.submit(Solve(tuple(packed for _, packed in drawn))))
        if not isinstance(solved, Solved):
            for part, _ in drawn:
                _give(part.answer, solved)
            return
        for (part, packed), heads in zip(drawn, solved.heads):
            finished = self._workers.submit(Finish(part.job, packed, heads, solved.seconds))
            finished.add_done_callback(partial(_hand_on, part.answer))


def emitter_of(settings: Settings, memory: int, on_replaced: Callable[[], None] = lambda: None) -> Emitter:
    """This machine's worker processes, and its device's where it has one.

    Args:
        memory: bytes that a worker may take for a job.
    """
    workers = Pool(settings.workers, settings.timeout, memory=memory, on_replaced=on_replaced)
    if settings.device == WORKERS:
        return workers
    return OnDevice.of(workers, settings.device, settings.timeout, on_replaced)


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


def _let_go(begun: Future[Any], answer: Future[Result]) -> None:
    """Don't begin what nobody waits for any more."""
    if answer.cancelled():
        begun.cancel()
