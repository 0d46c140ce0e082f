"""What a launch does with Ray: it sends each job to one of the replicas, on whichever host, until one has answered.

A replica that dies takes nothing with it: emission is deterministic, so what it had is sent to another. This module imports
Ray, so nothing may import it before a cluster is joined.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import ray  # noqa: TID251 - the server was told to use it
from ray import serve  # noqa: TID251
from ray.exceptions import ActorAlreadyExistsError, RayError, RayTaskError  # noqa: TID251
from ray.serve.exceptions import RayServeException  # noqa: TID251

from modelgpt_edge.errors import InputError
from modelgpt_edge.server.jobs import BuildJob, Job, RefitJob, Result
from modelgpt_edge.server.launches import START, WorkerDiedError
from modelgpt_edge.server.ray_cluster import Cluster, under_way
from modelgpt_edge.server.ray_parcels import FAULTS, parcel_of, tar_template
from modelgpt_edge.server.ray_replica import Replica
from modelgpt_edge.server.room import Room
from modelgpt_edge.server.settings import WORKERS, Settings
from modelgpt_edge.server.steps import Emitted

DEPLOYMENT = "emitter"
# How many replicas a job may lose before it counts as what kills them, and seconds of the pause that grows from try to try.
TRIES, PAUSE = 4, 0.2
# Seconds between two counts of the replicas.
COUNTED = 1.0
QUIET = {"log_level": "ERROR", "enable_access_log": False}


class Replicas:
    """What launches jobs to the replicas of a deployment; it gathers none of them, for Ray does.

    Args:
        handle: Ray's, of the deployment.
        application: its name.
        templates: packed templates that are kept for the refits to come.
        most: bytes of tables that are in memory at a time; other jobs wait, and their tables stay on disk.
    """

    gathers = True

    def __init__(self, handle: Any, application: str, templates: int, most: int) -> None:
        self._handle, self._application, self._room = handle, application, Room(most)
        self._alive = 0
        self._ended = threading.Event()
        self._counting = threading.Thread(target=self._count, name="replicas", daemon=True)
        self._packing = threading.Lock()
        self._template = lru_cache(maxsize=templates)(_shared_template)

    @property
    def alive(self) -> int:
        """Replicas that are up."""
        return self._alive

    def start(self) -> None:
        """Begin to count replicas."""
        self._alive = _running(self._application)[0]
        self._counting.start()

    def close(self) -> None:
        """Count no more; the replicas end with their context."""
        self._ended.set()
        if self._counting.is_alive():
            self._counting.join()

    def launch(self, jobs: Sequence[Job]) -> list[Future[Result]]:
        """Send each job to a replica; cancelling its future takes it back. To be called in an event loop."""
        loop = asyncio.get_running_loop()
        return [asyncio.run_coroutine_threadsafe(self._ask(job), loop) for job in jobs]

    async def _ask(self, job: Job) -> Result:
        """A job's result, from whichever replica lives to tell it.

        Raises:
            MemoryError, WorkerDiedError, TooLongError: as a pool's futures do.
        """
        assert not isinstance(job, BuildJob), "packages are built on the server's own host"
        async with self._room.taken(0 if job.data is None else job.data.stat().st_size):
            return await self._send(job)

    async def _send(self, job: Emitted) -> Result:
        digest, references = "", []
        if isinstance(job, RefitJob):
            digest, reference = await asyncio.to_thread(self._shared, job.template)
            references = [reference]
        parcel = await asyncio.to_thread(parcel_of, job, digest)
        for lost in range(TRIES):
            await asyncio.sleep(lost * PAUSE)
            response = self._handle.emit.remote(parcel, references)
            try:
                outcome: Result | str = await response
            except asyncio.CancelledError:
                response.cancel()
                raise
            except RayTaskError:  # the replica's code raised it, and would again
                raise
            except (RayError, RayServeException):  # the replica died, or its host, or what it said was lost on the way
                continue
            if isinstance(outcome, str):
                raise FAULTS[outcome]
            return outcome
        raise WorkerDiedError

    def _shared(self, template: Path) -> tuple[str, Any]:
        with self._packing:
            return self._template(template)

    def _count(self) -> None:
        while not self._ended.wait(COUNTED):
            try:
                self._alive = _running(self._application)[0]
            except Exception:  # whoever knows is gone, or can't be reached; a count that ended would stand for good
                self._alive = 0


def _shared_template(folder: Path) -> tuple[str, Any]:
    """A template's hash, and Ray's reference to its tar, which every host fetches once."""
    digest, content = tar_template(folder)
    return digest, ray.put(content)


@contextmanager
def deployed(cluster: Cluster, settings: Settings, name: str) -> Iterator[Replicas]:
    """Replicas for one server, in a cluster that is joined.

    Args:
        name: of the server, such as its address: one that comes back after a crash finds its application, and Ray puts a new
            replica in each old one's place.

    Raises:
        InputError: the cluster has no room for so many replicas.
    """
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    on_cores = settings.device == WORKERS
    deployment = serve.deployment(
        name=DEPLOYMENT,
        ray_actor_options={"num_cpus": settings.workers, "num_gpus": int(settings.device.startswith("cuda"))},
        autoscaling_config={
            "min_replicas": cluster.least,
            "max_replicas": cluster.most,
            # One that each worker is at and one that waits; on a device, a launch.
            "target_ongoing_requests": 2 * settings.workers if on_cores else settings.batch,
        },
        # All launches that may be under way, and one that gathers.
        max_ongoing_requests=settings.batch * (settings.lanes + 1),
        # The server refuses long before; what was just cancelled may still count.
        max_queued_requests=2 * settings.queue,
        graceful_shutdown_timeout_s=settings.timeout,
        graceful_shutdown_wait_loop_s=0.1,
        logging_config=QUIET,
    )(Replica)
    application, templates = f"modelgpt-edge-{name}", 2 * settings.builds
    bound = deployment.bind(replace(settings, token=None), templates)
    _start_serve()
    target = serve.RunTarget(bound, application, None)
    handle = serve.run_many([target], wait_for_applications_running=False)[0]
    try:
        _wait_running(application, cluster.least)
        yield Replicas(handle, application, templates, under_way(settings))
    finally:
        handle.shutdown()
        serve.delete(application)


def _start_serve() -> None:
    """Start Ray Serve in the cluster, unless another server has; its own proxies speak no HTTP, for servers do."""
    while True:
        try:
            serve.start(proxy_location="Disabled", logging_config=QUIET)
            return
        except ActorAlreadyExistsError:  # another server is starting it at this moment
            time.sleep(PAUSE)


def _running(application: str) -> tuple[int, str]:
    """Replicas that are up, and what Ray says of the application."""
    found = serve.status().applications.get(application)
    deployment = found.deployments.get(DEPLOYMENT) if found else None
    if deployment is None:
        return 0, found.message if found else ""
    return deployment.replica_states.get("RUNNING", 0), deployment.message


def _wait_running(application: str, count: int) -> None:
    """Wait until so many replicas are up; InputError where it takes too long."""
    end = time.monotonic() + START
    while True:
        running, message = _running(application)
        if running >= count:
            return
        if time.monotonic() > end:
            cure = "Ask for fewer, or add hosts to the cluster: a replica takes as many CPUs as it has workers."
            seen = f"{running} of {count} after {START:g} s; {message}"
            raise InputError("the replicas don't come up", where="--replicas", seen=seen, cure=cure)
        time.sleep(0.2)
