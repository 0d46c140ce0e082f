"""The Ray cluster that a server uses: which one, and how it is joined, or started here for as long as the server runs.

Ray is imported when a cluster is joined, and by no server that uses none.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from modelgpt_edge.errors import InputError
from modelgpt_edge.server.settings import MEGABYTE, Settings

VARIABLE = "RAY_ADDRESS"
# Seconds that a head may take to answer: Ray itself would try for minutes.
PATIENCE = 10.0
# Ray binds to the loopback address alone where it takes no part in clusters of many hosts, which is its rule on other systems
# than Linux and its choice here. It is read when Ray is imported.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
# Characters of a folder that leave room for Ray's names of sockets, which may be 107 long.
SHORTEST = 32


@dataclass(frozen=True)
class Cluster:
    """Where replicas run.

    Attributes:
        address: HOST:PORT of a cluster's head; a cluster is started here where not given.
        least: replicas at all times.
        most: replicas under load.
    """

    address: str | None
    least: int
    most: int

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            seen = f"{self.least}..{self.most}"
            raise InputError("there can't be so many replicas", where="--replicas", seen=seen, cure="Give such as 2 or 1..8.")
        if self.address is not None and not re.fullmatch(r"[^:/]+:\d{1,5}", self.address):
            cure = "Give HOST:PORT of the cluster's head, and run this on a host of the cluster."
            raise InputError("this is no head's address", where="--address", seen=self.address, cure=cure)


def read_cluster(replicas: str | None, address: str | None) -> Cluster:
    """The options of the command line; a replica for each core of this machine where no number is given."""
    least, dots, most = (replicas or str(os.cpu_count() or 1)).partition("..")
    try:
        low = int(least)
        high = int(most) if dots else low
    except ValueError as error:
        cure = "Give a number such as 2, or two such as 1..8."
        raise InputError("this is no number of replicas", where="--replicas", seen=replicas, cure=cure) from error
    return Cluster(address or os.environ.get(VARIABLE) or None, low, high)


@contextmanager
def joined(cluster: Cluster, settings: Settings) -> Iterator[None]:
    """In a cluster; one that is started here ends with this, and with this thread, so it must be the main one.

    Raises:
        InputError: there is no such cluster, or this host isn't one of its.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray lets other processes go first otherwise: its workers are for batch work, and these answer people.
    os.environ.setdefault("RAY_worker_niceness", "0")
    # Threads of Ray's that outlive the cluster by a moment would otherwise start another one.
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"
    if cluster.address is None:
        with _logs() as folder:
            os.environ |= LOOPBACK
            with _initialised(cluster, {**_own(cluster, settings), "_temp_dir": folder}):
                yield
        return
    _require_head(cluster.address)
    with _initialised(cluster, {"address": cluster.address}):
        yield


@contextmanager
def _initialised(cluster: Cluster, options: Mapping[str, Any]) -> Iterator[None]:
    import ray  # noqa: TID251 - the server was told to use it
    from ray.exceptions import RayError  # noqa: TID251

    # Processes that Ray starts here inherit this: a service manager tells the whole group, but the server decides their end.
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        cure = f"Run `ray start --address {cluster.address}` on this host, with the Python and the Ray of the head."
        raise InputError("this Ray cluster can't be joined", where="--address", seen=str(error), cure=cure) from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
    # Ray's C++ prints a trace for SIGTERM; its Python handler, which ends the process in order, takes that place again.
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _logs() -> Iterator[str]:
    """A folder for what Ray writes, which it never removes itself."""
    place = tempfile.gettempdir()
    folder = tempfile.mkdtemp(prefix="mge-ray-", dir=place if len(place) <= SHORTEST else "/tmp")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _own(cluster: Cluster, settings: Settings) -> dict[str, Any]:
    """How to start a cluster of this machine alone."""
    if "RAY_AUTH_MODE" not in os.environ:  # with a token that nobody else knows
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    return {
        "address": "local",
        "num_cpus": max(os.cpu_count() or 1, cluster.most * settings.workers),
        # Of what doesn't fit in, Ray spills the rest to disk.
        "object_store_memory": under_way(settings),
        "include_dashboard": False,
    }


def under_way(settings: Settings) -> int:
    """Bytes of tables that a server has under way at a time: room for the largest body, and for many of the usual ones."""
    return settings.max_body + 256 * MEGABYTE


def _require_head(address: str) -> None:
    """InputError where nobody listens."""
    host, _, port = address.partition(":")
    try:
        socket.create_connection((host, int(port)), PATIENCE).close()
    except (OSError, OverflowError) as error:
        cure = "Run `ray start --head` on one host, `ray start --address HOST:PORT` on this one, and give that address here."
        raise InputError("there is no Ray cluster", where="--address", seen=address, cure=cure) from error
