"""The server under load: models a second with batching and without, latencies, overload, memory over many requests, and Ray.

Every part starts real servers on this machine, and the load comes from a process of its own that shares the cores. "One by
one" is ``--batch 1``: one model after the other. Capacity is what clients get that each ask again as soon as they are answered.
Latencies are of requests on a schedule, whose rate is a share of that capacity, with at most so many in flight as there are
clients; they are counted from the schedule, so waiting counts. Answers are checked: the same request must give the same bytes
throughout. With ``--ray`` the same load goes through ``--engine ray`` as well, a replica for each core of this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import environment
import numpy as np
from serve_load import KINDS, WORK, closed_loop, open_loop, request
from serve_report import COMPARED, MEMORY_CLIENTS, SHARE, SHORT_QUEUE, page

CLIENTS = (1, 4, 16, 64, 256)
# Seconds between two looks at the memory of the server's processes.
LOOK = 0.5
DISTRIBUTIONS = ("modelgpt-edge", "numpy", "fastapi", "uvicorn", "uvloop", "ray")
# The other engine, with as many processes that emit as the local one has.
RAY = ("--engine", "ray")


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    load = [request(options.work, number) for number in range(KINDS)]
    if options.requests:
        facts = {"memory": asyncio.run(memory(load, options.requests))}
    else:
        facts = asyncio.run(throughput(load, options.clients, options.seconds, options.ray))
        facts["overload"] = {"local": asyncio.run(overload(load, options.seconds))}
        if options.ray:
            facts["overload"]["Ray"] = asyncio.run(overload(load, options.seconds, *RAY))
    found = environment.result("serve", DISTRIBUTIONS, {"work": options.work, **facts})
    environment.publish(found, page(found), options.json, options.table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", choices=WORK, default="profile", help="what is asked for (default: profile)")
    parser.add_argument("--clients", type=int, nargs="*", default=CLIENTS, help="numbers of clients (default 1 4 16 64 256)")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement (default 10)")
    parser.add_argument("--ray", action="store_true", help="measure Ray's replicas as well (pip install -e '.[serve-ray]')")
    parser.add_argument("--requests", type=int, help="only measure memory over so many requests")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements here")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the tables here")
    return parser


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
    """What so many clients get, what a request takes of the process that speaks HTTP, its bytes, and what waiting there is."""
    environment.say(f"{way}, {clients} clients")
    before = _processor_seconds(pid)
    async with _peak(pid) as peak:
        seen = await closed_loop(url, load, clients, seconds)
        front = (_processor_seconds(pid) - before) / max(1, sum(seen.statuses.values()))
        capacity = seen.facts(seconds)
        asked = SHARE * capacity["models_per_second"]
        scheduled = (await open_loop(url, load, asked, seconds, clients)).facts(seconds)
    sizes = {"bytes_in": float(np.mean([*map(len, load)])), "bytes_out": float(np.mean([*map(len, seen.bodies.values())]))}
    facts = {name: capacity[name] for name in ("models_per_second", "batch")}
    facts |= {"front_seconds": front, **sizes, "memory": peak[0]}
    facts["scheduled"] = {"asked": asked, **scheduled}
    return {"way": way, "clients": clients, **facts}


@asynccontextmanager
async def _peak(pid: int) -> AsyncIterator[list[int]]:
    """The most bytes that a process and all that it started hold meanwhile, in a list of one."""
    most = [_resident(pid)]

    async def look() -> None:
        while True:
            await asyncio.sleep(LOOK)
            most[0] = max(most[0], _resident(pid))

    looking = asyncio.create_task(look())
    try:
        yield most
    finally:
        looking.cancel()


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
            seen = await closed_loop(url, load, MEMORY_CLIENTS, 10**6, max(1, requests // 50))
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
    """Bytes of a process and of all that it started; what they share counts for each."""
    total, left = 0, [pid]
    while left:
        one = Path(f"/proc/{left.pop()}")
        try:
            total += int((one / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            left += [int(child) for task in (one / "task").iterdir() for child in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue
    return total


if __name__ == "__main__":
    main()
