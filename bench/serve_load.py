"""The load of the server's bench: requests as they go over the wire, clients that send them, and what they saw.

Clients ask again as soon as they are answered, which measures capacity; or on a schedule, from which waiting counts.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np
import synthetic

KINDS = 16  # different requests
CLASSES = ("low", "middle", "high")
# What is asked for: a body's rows and columns, its kind, and the options.
WORK = {
    "profile": (64, 8, "application/x-safetensors", "draws=1"),
    "linear": (64, 8, "application/x-safetensors", "units=0"),
    "rows": (60, 8, "text/csv", "draws=1&task=predict+the+label&label=label"),
}


def asked(work: str) -> str:
    """What each request is, in words."""
    rows, columns, kind, query = WORK[work]
    body = "rows as CSV" if kind == "text/csv" else "a profile"
    plain = ", the plain linear model" if query == "units=0" else ""
    return f"{body} of {rows} to {rows + KINDS - 1} rows and {columns} columns of {len(CLASSES)} classes, for `{query}`{plain}"


def request(work: str, number: int) -> bytes:
    """A request as it goes over the wire."""
    rows, columns, kind, query = WORK[work]
    x, y = synthetic.three_classes(rows + number, columns, seed=number)
    if kind == "text/csv":
        lines = [[f"{cell:.4f}" for cell in row] + [label] for row, label in zip(x.tolist(), y.tolist())]
        head = [f"a{c}" for c in range(columns)] + ["label"]
        body = "\n".join(",".join(line) for line in [head, *lines]).encode()
    else:
        from safetensors.numpy import save

        body = save({"encoded": x.astype(np.float32), "targets": (y[:, None] == np.array(CLASSES)).astype(np.float32)})
    head = [f"POST /v1/parameters?{query} HTTP/1.1", "Host: localhost", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode() + body


@dataclass
class Seen:
    """What clients saw: seconds of answered requests, statuses, and bodies by request."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    bodies: dict[int, bytes] = field(default_factory=dict)
    batches: list[int] = field(default_factory=list)

    def add(self, number: int, status: int, headers: dict[str, str], body: bytes, since: float) -> None:
        self.statuses[str(status)] += 1
        if status == 200:
            self.seconds.append(time.perf_counter() - since)
            self.batches.append(int(headers["modelgpt-batch"]))
            if self.bodies.setdefault(number, body) != body:
                raise SystemExit("the same request gave other weights")

    def facts(self, seconds: float) -> dict:
        ordered = np.sort(self.seconds) if self.seconds else np.full(1, np.nan)
        return {
            "models_per_second": len(self.seconds) / seconds,
            **{f"p{q}": float(np.quantile(ordered, q / 100)) for q in (50, 95, 99)},
            "batch": float(np.mean(self.batches)) if self.batches else 0.0,
            "statuses": dict(self.statuses),
        }


class Wire:
    """A kept connection, with as little work a request as there can be: the load shares the cores with the server."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._place = parts.hostname, parts.port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_connection(*self._place)
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        body = await self._reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            self.close()
        return int(head[0].split()[1]), headers, body

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


async def closed_loop(url: str, load: Sequence[bytes], clients: int, seconds: float, most: int | None = None) -> Seen:
    """Clients that ask again as soon as they are answered, for a time or until `most` requests are answered."""
    seen, end, numbers = Seen(), time.perf_counter() + seconds, iter(range(10**9))

    async def client() -> None:
        wire = Wire(url)
        while time.perf_counter() < end and (most is None or sum(seen.statuses.values()) < most):
            number, start = next(numbers) % len(load), time.perf_counter()
            status, headers, body = await wire.ask(load[number])
            if time.perf_counter() < end:
                seen.add(number, status, headers, body, start)
            if status == 429:
                await asyncio.sleep(float(headers["retry-after"]))
        wire.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return seen


async def open_loop(url: str, load: Sequence[bytes], rate: float, seconds: float, clients: int | None = None) -> Seen:
    """Requests on a schedule of random gaps, answered or not; seconds are counted from the schedule.

    Args:
        clients: most requests in flight: the next one waits for one of these clients, and its seconds count meanwhile.
    """
    seen, gaps = Seen(), np.random.default_rng(0).exponential(1 / rate, int(rate * seconds))
    idle: list[Wire] = []
    free = asyncio.Semaphore(clients or len(gaps) + 1)

    async def one(number: int, due: float) -> None:
        async with free:
            wire = idle.pop() if idle else Wire(url)
            try:
                status, headers, body = await wire.ask(load[number])
            except (OSError, asyncio.IncompleteReadError) as error:
                seen.statuses[type(error).__name__] += 1
                return
            seen.add(number, status, headers, body, due)
            idle.append(wire)

    tasks, due = [], time.perf_counter()
    for place, gap in enumerate(gaps):
        due += gap
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(place % len(load), due)))
    await asyncio.gather(*tasks)
    for wire in idle:
        wire.close()
    return seen
