"""What a server may be told: where it listens, whom it lets in, and how much it takes on at a time."""

from __future__ import annotations

import os
from dataclasses import dataclass

from modelgpt_edge.errors import InputError
from modelgpt_edge.server.memory import LEAST

MEGABYTE = 1 << 20

# Worker processes alone, and the path of a device by torch on the CPU, which is slower than they are.
WORKERS, TORCH_CPU = "cpu", "torch-cpu"
# Models of one launch and requests that are accepted, by workers and on a device. There three launches are under way, one that
# is begun, one that is solved and one that is finished; and there is room for one more that gathers.
BATCH, QUEUE = 32, 128
DEVICE_BATCH, DEVICE_LANES = 64, 3
DEVICE_QUEUE = DEVICE_BATCH * (DEVICE_LANES + 1)


@dataclass(frozen=True)
class Settings:
    """Limits of a server.

    Attributes:
        token: that requests must bear; None lets everybody in.
        max_body: most bytes of an upload.
        queue: requests for weights that are accepted and not yet answered; more are told to come again.
        batch: most models of one launch; 1 makes one model at a time.
        wait: seconds that an idle launch waits for company.
        timeout: seconds that a request for weights may take, and that an upload may stand still.
        build_timeout: seconds that a build may take.
        builds: builds and refits of many that are accepted and not yet answered, each.
        workers: processes that emit weights.
        worker_memory: bytes that one may take for a job; a fair share of the machine's where not given.
        hosts: names that requests may ask for, by ``Host``; any where there are none.
        pages: names of other hosts whose pages may send requests.
        device: where heads are solved, as `device.require_device` lets it pass; by the workers themselves where it is ``cpu``.
        keep: seconds that a built package is kept to be fetched.
        packages: most packages that are kept.
    """

    token: str | None = None
    max_body: int = 256 * MEGABYTE
    queue: int = QUEUE
    batch: int = BATCH
    wait: float = 0.004
    timeout: float = 60.0
    build_timeout: float = 600.0
    builds: int = 4
    workers: int = os.cpu_count() or 1
    worker_memory: int | None = None
    hosts: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()
    device: str = WORKERS
    keep: float = 900.0
    packages: int = 32

    @property
    def lanes(self) -> int:
        """Launches under way at a time: one for each worker; on a device one that is begun, one solved and one finished."""
        if self.batch == 1:
            return 1
        return self.workers if self.device == WORKERS else DEVICE_LANES

    def __post_init__(self) -> None:
        for name, least in (("max_body", 1), ("queue", 1), ("batch", 1), ("builds", 1), ("workers", 1), ("packages", 1)):
            if getattr(self, name) < least:
                where = name if name in ("builds", "packages") else f"--{name.replace('_', '-')}"
                raise InputError("this is too few", where=where, seen=getattr(self, name), cure=f"Give {least} or more.")
        for name in ("timeout", "build_timeout"):
            if not getattr(self, name) > 0:
                option = f"--{name.replace('_', '-')}"
                raise InputError("nothing is done in no time", where=option, seen=getattr(self, name), cure="Give seconds.")
        if self.worker_memory is not None and self.worker_memory < LEAST:
            cure = f"Give {LEAST // MEGABYTE} MB or more, better some hundreds."
            raise InputError("a model needs more memory", where="--worker-memory", seen=self.worker_memory, cure=cure)
        if self.token is not None and not self.token:
            raise InputError("the token is empty", where="--token-file", cure="Write a long random text into the file.")
