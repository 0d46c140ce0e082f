"""What runs on every host: a replica does the jobs of the server that it belongs to, as that server's own workers would.

Ray gathers the jobs that come together; the launch, its worker processes and its faults are those of `launches`. Ray imports
this module on every host that has a replica, and the server does when it is told to use Ray; nothing else may.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray import serve  # noqa: TID251 - a replica is Ray's

from modelgpt_edge.server.batching import Answer, Waiting, send
from modelgpt_edge.server.device import require_device
from modelgpt_edge.server.device_launch import emitter_of
from modelgpt_edge.server.jobs import Job, RefitJob, Result
from modelgpt_edge.server.memory import fair_share
from modelgpt_edge.server.ray_parcels import FAULTS, Parcel, Templates, open_parcel
from modelgpt_edge.server.settings import Settings


class Replica:
    """One of the processes that Ray starts, replaces and spreads over hosts.

    Args:
        templates: how many are kept: more than are in use at a time.
    """

    def __init__(self, settings: Settings, templates: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="modelgpt-edge-replica-")
        # A host has a replica for every so many cores at most, and its memory is theirs in equal parts.
        memory = settings.worker_memory or fair_share(max(settings.workers, os.cpu_count() or 1))
        require_device(settings.device)
        self._emitter = emitter_of(settings, memory)
        self._emitter.start()
        self.check_health()
        self._templates = Templates(Path(self._folder.name) / "templates", templates)
        self._unpacking = asyncio.Lock()
        gathered = serve.batch(
            max_batch_size=settings.batch, batch_wait_timeout_s=settings.wait, max_concurrent_batches=settings.lanes
        )
        self._gathered = gathered(self._launch)

    async def emit(self, parcel: Parcel, template: Sequence[Any] = ()) -> Result | str:
        """A job's result, or one of `FAULTS`.

        Args:
            template: Ray's reference to the packed template of a refit.
        """
        with tempfile.TemporaryDirectory(dir=self._folder.name) as folder:
            place = None
            if isinstance(parcel.job, RefitJob):
                place = await self._placed(parcel.template, parcel.job.template.name, template[0])
            job = await asyncio.to_thread(open_parcel, parcel, Path(folder), place)
            loop = asyncio.get_running_loop()
            waiting = Waiting[Job, Result](job, loop.time(), loop.create_future())
            launched = asyncio.ensure_future(self._gathered(waiting))
            try:
                answer: Answer[Result] = await waiting.answer
                return answer.result
            except tuple(FAULTS.values()) as error:
                return next(word for word, fault in FAULTS.items() if isinstance(error, fault))
            finally:
                launched.cancel()

    async def _placed(self, digest: str, name: str, template: Any) -> Path:
        """Where a template lies; it is fetched once for all of its jobs."""
        async with self._unpacking:
            place = self._templates.find(digest)
            if place is None:
                place = await asyncio.to_thread(self._templates.add, digest, name, await template)
            return place

    async def _launch(self, jobs: list[Waiting[Job, Result]]) -> list[None]:
        """Launch what Ray gathered; each job is answered by itself, as soon as it is done."""
        await send(self._emitter.launch, jobs)
        return [None] * len(jobs)

    def check_health(self) -> None:
        """RuntimeError where no worker is up: Ray then replaces this replica."""
        if not self._emitter.alive:
            raise RuntimeError("no worker came up")

    def __del__(self) -> None:
        """Ray's call at a replica's end, when all that it accepted is done."""
        self._emitter.close()
        self._folder.cleanup()
