"""What stands behind the routes: workers, the batcher, packages that wait to be fetched, and the rules of who waits how long.

Nothing of HTTP's framework comes in here, and nothing of how weights are emitted: an emitter does that, here or in a cluster.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from modelgpt_edge.server.batching import Answer, Batcher, FullError
from modelgpt_edge.server.device_launch import emitter_of
from modelgpt_edge.server.disk import writing
from modelgpt_edge.server.errors import RequestError, error_json
from modelgpt_edge.server.jobs import BuildJob, Done, Job, RefitJob, Refused, Result, TextsJob
from modelgpt_edge.server.launches import DeviceMemoryError, Emitter, Pool, Tell, TooLongError, WorkerDiedError
from modelgpt_edge.server.memory import fair_share
from modelgpt_edge.server.metrics import Metrics
from modelgpt_edge.server.own_folder import OwnFolder
from modelgpt_edge.server.packages import Packages
from modelgpt_edge.server.settings import Settings

# Seconds after which to ask again where only a guess can be given.
SOON = 5


class Service:
    """Emits weights and builds packages for whoever asks, within the limits of its settings.

    Args:
        emitter: who emits the weights; worker processes of this machine where not given.
    """

    def __init__(self, settings: Settings, emitter: Emitter | None = None) -> None:
        self.settings = settings
        self._own = OwnFolder()
        self.folder = self._own.path
        self.packages = Packages(self.folder / "packages", settings.keep, settings.packages)
        self.metrics = Metrics(lambda: self._batcher.accepted, lambda: self._pool.alive)
        replaced = self.metrics.replaced.inc
        memory = fair_share(settings.workers) if settings.worker_memory is None else settings.worker_memory
        self._pool = emitter or emitter_of(settings, memory, replaced)
        # A build has all cores, and as much memory as their workers together.
        self._builder = Pool(
            1,
            settings.build_timeout,
            memory=memory * settings.workers,
            at_once=False,
            pinned=False,
            on_replaced=replaced,
        )
        self._batcher = Batcher[Job, Result](
            self._pool.launch,
            most=1 if self._pool.gathers else settings.batch,
            wait=0 if self._pool.gathers else settings.wait,
            room=settings.queue,
            lanes=settings.queue if self._pool.gathers else settings.lanes,
            # Texts take much longer than tables, and a device takes them apart.
            kind=lambda job: isinstance(job, TextsJob),
            observe=self.metrics.batch.observe,
        )
        self._uploads = 0
        self._builds, self._refits = asyncio.Semaphore(settings.builds), asyncio.Semaphore(settings.builds)
        # A part of the room for all refits together, so that others get theirs.
        self._refitted = asyncio.Semaphore(max(1, settings.queue // 2))
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start workers, and wait until they are warm."""
        await asyncio.gather(asyncio.to_thread(self._pool.start), asyncio.to_thread(self._builder.start))
        if not self._pool.alive:
            await self.close()
            raise RuntimeError("no worker came up")
        self._running = asyncio.create_task(self._batcher.run())

    async def close(self) -> None:
        """End workers and remove what was kept."""
        if self._running is not None:
            self._running.cancel()
        await asyncio.gather(asyncio.to_thread(self._pool.close), asyncio.to_thread(self._builder.close))
        await asyncio.to_thread(self._own.close)

    def health(self) -> dict[str, object]:
        """How it is: JSON values; "ok" where weights can be emitted."""
        up, launching = self._pool.alive, self._running is not None and not self._running.done()
        return {
            "status": "ok" if up and launching else "down",
            "workers": up,
            "accepted": self._batcher.accepted,
            "queue": self.settings.queue,
        }

    @asynccontextmanager
    async def upload(self) -> AsyncIterator[Path]:
        """A folder for one request's files, removed afterwards; RequestError where there are too many, or the disk is full."""
        if self._uploads >= 2 * self.settings.queue:
            raise _full(SOON)
        with writing():
            folder = Path(tempfile.mkdtemp(dir=self.folder))
            self._uploads += 1
            try:
                yield folder
            finally:
                self._uploads -= 1
                shutil.rmtree(folder, ignore_errors=True)

    def require_room(self) -> None:
        """RequestError where a request for weights would be refused: asked before its body is read."""
        try:
            self._batcher.require_room()
        except FullError as error:
            raise _full(error.seconds) from error

    async def emit(self, job: Job) -> Answer[Result]:
        """Weights for one request, launched with others.

        Raises:
            RequestError: 429 where there is no room, 503 where a worker died or memory is short, 504 where it takes too long.
        """
        try:
            return await asyncio.wait_for(self._emit(job, patient=False), self.settings.timeout)
        except asyncio.TimeoutError as error:
            raise self._late(self.settings.timeout) from error

    def require_refitter(self) -> None:
        """RequestError where a refit of many would be refused."""
        if self._refits.locked():
            raise _full(SOON)

    async def emit_many(self, jobs: Sequence[RefitJob], tell: Callable[[int, Done | Refused], None]) -> None:
        """Weights for many tables of one template, each told by its place as soon as it is there; a table's fault is its own.

        Raises:
            RequestError: 429 where too many such requests are under way, 504 where it takes too long; the template's fault.
        """
        self.require_refitter()

        async def one(place: int, job: RefitJob) -> None:
            result: Result
            async with self._refitted:
                try:
                    result = (await self._emit(job, patient=True)).result
                except RequestError as error:
                    result = Refused(error.status, error_json(error))
            if isinstance(result, Refused) and result.shared:
                told = result.error
                raise RequestError(result.status, told["error"], where=told["where"], seen=told["seen"], cure=told["cure"])
            tell(place, result)

        async with self._refits:
            tasks = [asyncio.ensure_future(one(place, job)) for place, job in enumerate(jobs)]
            try:
                await asyncio.wait_for(asyncio.gather(*tasks), self.settings.build_timeout)
            except asyncio.TimeoutError as error:
                raise self._late(self.settings.build_timeout) from error
            finally:
                for task in tasks:
                    task.cancel()

    async def _emit(self, job: Job, patient: bool) -> Answer[Result]:
        try:
            answer = await self._batcher.submit(job, patient=patient)
        except FullError as error:
            raise _full(error.seconds) from error
        except MemoryError as error:
            raise _short(error) from error
        except WorkerDiedError as error:
            raise _died() from error
        except TooLongError as error:
            raise self._late(self.settings.timeout) from error
        if isinstance(answer.result, Done):
            self.metrics.models.inc()
        return answer

    def require_builder(self) -> None:
        """RequestError where a build would be refused."""
        if self._builds.locked():
            raise _full(SOON)

    async def build(self, job: BuildJob, tell: Tell) -> Result:
        """Build a package, telling progress in the loop's thread; a build that is cancelled ends at once."""
        self.require_builder()
        loop = asyncio.get_running_loop()

        def told(stage: str, share: float) -> None:
            with suppress(RuntimeError):  # the loop has ended, and nobody listens
                loop.call_soon_threadsafe(tell, stage, share)

        async with self._builds:
            future = self._builder.submit(job, told)
            try:
                return await asyncio.wait_for(asyncio.wrap_future(future), self.settings.build_timeout * self.settings.builds)
            except MemoryError as error:
                raise _short(error) from error
            except WorkerDiedError as error:
                raise _died() from error
            except (TooLongError, asyncio.TimeoutError) as error:
                raise self._late(self.settings.build_timeout) from error
            finally:
                self._builder.abandon(future)

    @staticmethod
    def _late(seconds: float) -> RequestError:
        cure = "Send fewer rows, ask again later, or start the server with a longer time-out."
        return RequestError(504, "it takes too long", where="server", seen=f"{seconds:g} s", cure=cure)


def _full(seconds: int) -> RequestError:
    cure = f"Ask again in {seconds} s."
    return RequestError(
        429, "the server has as much to do as it takes on", where="server", cure=cure, retry_after=seconds, close=True
    )


def _short(error: MemoryError) -> RequestError:
    what, larger = "the server ran out of memory", "with a larger --worker-memory"
    if isinstance(error, DeviceMemoryError):
        what, larger = "the server's device ran out of memory", "on a device with more memory, or without --device"
    cure = f"Send fewer rows, ask again later, or start the server {larger}."
    return RequestError(503, what, where="server", cure=cure, retry_after=SOON)


def _died() -> RequestError:
    cure = "Ask again; where it happens again, send fewer rows."
    return RequestError(503, "the worker died", where="server", cure=cure, retry_after=1)
