"""The server under load: models a second with batching and without, latencies, overload, memory over many requests, and Ray.

Every part starts real servers on this machine, and the load comes from a process of its own that shares the cores. "One by
one" is ``--batch 1``: one model after the other. Capacity is what clients get that each ask again as soon as they are answered;
latencies under half and fourfold capacity are of requests on a schedule and counted from it, so waiting counts. Answers
are checked: the same request must give the same bytes throughout. With ``--ray`` the same load goes through ``--engine ray`` as
well, a replica for each core of this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import environment
import numpy as np
import synthetic

CLIENTS = (1, 4, 16, 64, 256)
COMPARED = 64
KINDS = 16  # different requests
CLASSES = ("low", "middle", "high")
# What is asked for: a body's rows and columns, its kind, and the options.
WORK = {
    "profile": (64, 8, "application/x-safetensors", "draws=1"),
    "linear": (64, 8, "application/x-safetensors", "units=0"),
    "rows": (60, 8, "text/csv", "draws=1&task=predict+the+label&label=label"),
}
# The other engine, with as many processes that emit as the local one has.
RAY = ("--engine", "ray")
# Accepted requests under overload wait for those before them: as few as keep both cores busy.
SHORT_QUEUE = 8


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    load = [_request(options.work, number) for number in range(KINDS)]
    result: dict = {
        "bench": "serve",
        "command": environment.command(),
        "when": environment.now(),
        "machine": environment.machine(),
        "versions": environment.versions(["modelgpt-edge", "numpy", "fastapi", "uvicorn", "uvloop", "ray"]),
        "work": options.work,
    }
    if options.requests:
        result["memory"] = asyncio.run(memory(load, options.requests))
    else:
        result |= asyncio.run(throughput(load, options.clients, options.seconds, options.ray))
        result["overload"] = {"local": asyncio.run(overload(load, options.seconds))}
        if options.ray:
            result["overload"]["Ray"] = asyncio.run(overload(load, options.seconds, *RAY))
    if options.json:
        environment.write_json(options.json, result)
    text = _markdown(result)
    if options.table:
        options.table.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", choices=WORK, default="profile", help="what is asked for (default: profile)")
    parser.add_argument("--clients", type=int, nargs="*", default=CLIENTS, help="numbers of clients (default 1 4 16 64 256)")
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement (default 20)")
    parser.add_argument("--ray", action="store_true", help="measure Ray's replicas as well (pip install -e '.[serve-ray]')")
    parser.add_argument("--requests", type=int, help="only measure memory over so many requests")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements here")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the tables here")
    return parser


def _request(work: str, number: int) -> bytes:
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


@contextmanager
def serving(*options: str) -> Iterator[tuple[str, int]]:
    """A server's URL and process id."""
    command = [sys.executable, "-m", "modelgpt_edge", "serve", "--port", "0", "--json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())["url"], server.pid
        finally:
            server.terminate()


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


async def open_loop(url: str, load: Sequence[bytes], rate: float, seconds: float) -> Seen:
    """Requests on a schedule of random gaps, answered or not; seconds are counted from the schedule."""
    seen, gaps = Seen(), np.random.default_rng(0).exponential(1 / rate, int(rate * seconds))
    idle: list[Wire] = []

    async def one(number: int, due: float) -> None:
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


@asynccontextmanager
async def warm(load: Sequence[bytes], *options: str) -> AsyncIterator[tuple[str, int]]:
    """A server that has answered every request once or so."""
    with serving(*options) as (url, pid):
        await closed_loop(url, load, 4, 2)
        yield url, pid


async def throughput(load: Sequence[bytes], clients: Sequence[int], seconds: float, ray: bool) -> dict:
    """Models a second of both ways by numbers of clients, and their ratio at 64; in turns, so both see one machine.

    Ray comes afterwards, for its processes have something to do even where nothing is asked of them.
    """
    rows = []
    room = ("--queue", "512")
    async with warm(load, *room) as batched, warm(load, *room, "--batch", "1") as single:
        for count in clients:
            for way, server in (("batched", batched), ("one by one", single)):
                rows.append(await measured(way, *server, load, count, seconds))
    if ray:
        async with warm(load, *room, *RAY) as server:
            rows += [await measured("Ray", *server, load, count, seconds) for count in clients]
    rate = {(row["way"], row["clients"]): row["models_per_second"] for row in rows}
    ratios = {}
    if ("batched", COMPARED) in rate:
        ratios["one by one"] = rate["batched", COMPARED] / rate["one by one", COMPARED]
    if ("batched", COMPARED) in rate and ("one by one", 1) in rate:
        ratios["one client alone"] = rate["batched", COMPARED] / rate["one by one", 1]
    if ("Ray", COMPARED) in rate:
        ratios["Ray"] = rate["batched", COMPARED] / rate["Ray", COMPARED]
    return {"throughput": rows, "ratios": ratios}


async def measured(way: str, url: str, pid: int, load: Sequence[bytes], clients: int, seconds: float) -> dict:
    """What so many clients get, what a request takes of the process that speaks HTTP, and the bytes of one."""
    environment.say(f"{way}, {clients} clients")
    before = _processor_seconds(pid)
    seen = await closed_loop(url, load, clients, seconds)
    front = (_processor_seconds(pid) - before) / max(1, sum(seen.statuses.values()))
    sizes = {"bytes_in": float(np.mean([*map(len, load)])), "bytes_out": float(np.mean([*map(len, seen.bodies.values())]))}
    return {"way": way, "clients": clients, "front_seconds": front, **sizes, **seen.facts(seconds)}


async def overload(load: Sequence[bytes], seconds: float, *engine: str) -> dict:
    """Half the capacity, and four times it."""
    async with warm(load, "--queue", str(SHORT_QUEUE), *engine) as (url, _):
        environment.say("capacity")
        capacity = (await closed_loop(url, load, SHORT_QUEUE, seconds)).facts(seconds)["models_per_second"]
        runs = {}
        for name, factor in (("half", 0.5), ("fourfold", 4.0)):
            environment.say(f"{name} of {capacity:.1f} a second")
            runs[name] = {"factor": factor, **(await open_loop(url, load, factor * capacity, seconds)).facts(seconds)}
            await asyncio.sleep(1)
    errors = sum(count for run in runs.values() for status, count in run["statuses"].items() if status not in ("200", "429"))
    ratio = runs["fourfold"]["p99"] / runs["half"]["p99"]
    return {"queue": SHORT_QUEUE, "capacity": capacity, **runs, "errors": errors, "p99_ratio": ratio}


async def memory(load: Sequence[bytes], requests: int) -> dict:
    """Resident memory of the server and its workers, measured 50 times over so many requests."""
    samples = []
    async with warm(load) as (url, pid):
        start = time.perf_counter()
        for part in range(50):
            seen = await closed_loop(url, load, 16, 10**6, max(1, requests // 50))
            samples.append({"requests": (part + 1) * (requests // 50), "bytes": _resident(pid)})
            if set(seen.statuses) != {"200"}:
                raise SystemExit(f"not every request was answered: {dict(seen.statuses)}")
            if part % 10 == 9:
                environment.say(f"{samples[-1]['requests']:,} requests, {samples[-1]['bytes'] / 1e6:.0f} MB")
        took = time.perf_counter() - start
    # The first tenth fills caches and the allocators' pools.
    first, last = (float(np.median([s["bytes"] for s in part])) for part in (samples[4:9], samples[-5:]))
    return {"requests": requests, "seconds": took, "first": first, "last": last, "growth": last / first - 1, "samples": samples}


def _processor_seconds(pid: int) -> float:
    """Processor time that a process has had, its children's left out."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> int:
    """Bytes of a process and its children."""
    page = 4096
    tasks = list(Path(f"/proc/{pid}/task").iterdir())
    children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    return sum(int(Path(f"/proc/{p}/statm").read_text().split()[1]) * page for p in (pid, *children))


def _markdown(result: dict) -> str:
    lines = [f"{environment.described(result['machine'])}; `{result['command']}`", ""]
    if "memory" in result:
        m = result["memory"]
        lines.append(
            f"{m['requests']:,} requests in {m['seconds']:.0f} s: {m['first'] / 1e6:.0f} MB after the first tenth, "
            f"{m['last'] / 1e6:.0f} MB at the end, {m['growth']:+.1%}."
        )
        return "\n".join(lines)
    head = ["way", "clients", "models a second", "p50, ms", "p95, ms", "p99, ms", "models a launch", "front, ms"]
    rows = [
        [r["way"], r["clients"], f"{r['models_per_second']:.1f}", *_times(r), _batch(r), f"{1000 * r['front_seconds']:.1f}"]
        for r in result["throughput"]
    ]
    lines += [
        environment.markdown_table(head, rows),
        "",
        "front: processor time of the process that speaks HTTP, a request",
        "",
    ]
    for other, ratio in result["ratios"].items():
        lines += [f"Batching at {COMPARED} clients makes {ratio:.2f} times the models a second of {other}.", ""]
    head = [
        "engine",
        "load",
        "asked a second",
        "answered a second",
        "p50, ms",
        "p95, ms",
        "p99, ms",
        "refused",
        "errors",
    ]
    rows, ratios = [], []
    for engine, o in result["overload"].items():
        for name in ("half", "fourfold"):
            run = o[name]
            refused = run["statuses"].get("429", 0)
            rows.append(
                [
                    *(engine, f"{run['factor']:g} x capacity", f"{run['factor'] * o['capacity']:.1f}"),
                    *(f"{run['models_per_second']:.1f}", *_times(run), f"{refused:,}"),
                    sum(run["statuses"].values()) - refused - run["statuses"].get("200", 0),
                ]
            )
        ratios.append(f"{o['p99_ratio']:.2f} ({engine})")
    lines += [environment.markdown_table(head, rows, left=2), ""]
    lines += ["refused: told to come again", ""]
    lines.append(f"Queue {SHORT_QUEUE}: the p99 of accepted requests at 4 x capacity is {', '.join(ratios)} of that at half.")
    return "\n".join(lines)


def _batch(row: dict) -> str:
    """Models a launch; Ray gathers them where the answers don't tell of it."""
    return "-" if row["way"] == "Ray" else f"{row['batch']:.1f}"


def _times(run: dict) -> list[str]:
    return [f"{1000 * run[name]:.0f}" for name in ("p50", "p95", "p99")]


if __name__ == "__main__":
    main()
