"""What so many models an hour need: cores, GPUs, servers and network, from what was measured and nothing else.

With r models a second, m models a second of one core or GPU, f processor seconds of a server for a request, and u the share of
what there is that shall be busy: r / (m u) cores or GPUs emit, r f / u servers speak HTTP, and r times the bytes of a request
and its answer go in and out, and once more between server and replica.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import environment
from serve_load import asked

MODELS_PER_HOUR = (10_000, 100_000, 1_000_000)
# The way whose figures count: Ray's where it was measured.
WAYS = ("Ray", "batched")


@dataclass(frozen=True)
class Measured:
    """What one machine did: models a second of a core, server's seconds a request, bytes of a request and of its answer."""

    way: str
    work: str
    machine: str
    models: float
    front: float
    bytes_in: float
    bytes_out: float


@dataclass(frozen=True)
class Need:
    """What a rate needs; bytes are a second."""

    rate: float
    cores: int
    servers: int
    bytes_in: float
    bytes_out: float


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    measured = read(json.loads(options.serve.read_text(encoding="utf-8")))
    gpu = read_gpu(json.loads(options.gpu.read_text(encoding="utf-8"))) if options.gpu else None
    needs = [need(measured, per_hour, options.busy) for per_hour in options.models_per_hour]
    facts = {"busy": options.busy, "measured": asdict(measured), "gpu": gpu, "needs": [asdict(n) for n in needs]}
    found = environment.result("capacity", ["modelgpt-edge"], facts)
    environment.publish(found, _report(measured, needs, options.busy, gpu), options.json, options.table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", type=Path, required=True, metavar="FILE", help="what serve.py --json wrote")
    parser.add_argument("--models-per-hour", type=float, nargs="*", default=MODELS_PER_HOUR, metavar="N")
    parser.add_argument("--busy", type=float, default=0.7, metavar="SHARE", help="of what there is (default 0.7)")
    parser.add_argument(
        "--gpu", type=Path, metavar="FILE", help="what `modelgpt-edge bench kernels` wrote on a host with a GPU"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the report here")
    return parser


def read(result: Mapping) -> Measured:
    """The figures of the best number of clients. Load and server shared the cores, so a core alone does no less."""
    rows = result["throughput"]
    way = next(way for way in WAYS if any(row["way"] == way for row in rows))
    best = max((row for row in rows if row["way"] == way), key=lambda row: row["models_per_second"])
    machine = result["machine"]
    each = best["models_per_second"] / machine["cores"]
    described = environment.described(machine)
    return Measured(way, result["work"], described, each, best["front_seconds"], best["bytes_in"], best["bytes_out"])


def read_gpu(result: Mapping) -> dict | None:
    """Models a second of a GPU and its host, of the request that took longest, and which it was; None without one."""
    slowest = min(result.get("models", ()), key=lambda served: served["models_per_second"], default=None)
    return slowest and {name: slowest[name] for name in ("models_per_second", "request")}


def need(measured: Measured, per_hour: float, busy: float) -> Need:
    """What so many models an hour need."""
    rate = per_hour / 3600
    cores, servers = math.ceil(rate / (measured.models * busy)), math.ceil(rate * measured.front / busy)
    return Need(rate, cores, servers, rate * measured.bytes_in, rate * measured.bytes_out)


def _report(measured: Measured, needs: Sequence[Need], busy: float, gpu: dict | None) -> str:
    lines = [
        f"{measured.machine}; `{environment.command()}`",
        "",
        f"Measured ({measured.way}; a request is {asked(measured.work)}): {measured.models:.2f} models a second of a core, "
        f"{1000 * measured.front:.1f} ms of a server's processor a request, "
        f"{measured.bytes_in:,.0f} bytes in and {measured.bytes_out:,.0f} out"
        + ("" if gpu is None else f"; {gpu['models_per_second']:,.0f} a second of a GPU with its host, of {gpu['request']}")
        + f". {busy:.0%} of what there is shall be busy.",
        "",
    ]
    head = ["models an hour", "a second", "cores that emit", "or GPUs", "servers", "in, MB/s", "out, MB/s", "within, MB/s"]
    rows = [
        [
            *(f"{3600 * n.rate:,.0f}", f"{n.rate:,.1f}", f"{n.cores:,}"),
            "not run" if gpu is None else f"{math.ceil(n.rate / (gpu['models_per_second'] * busy)):,}",
            *(f"{n.servers:,}", f"{n.bytes_in / 1e6:.2f}", f"{n.bytes_out / 1e6:.2f}"),
            f"{(n.bytes_in + n.bytes_out) / 1e6:.2f}",
        ]
        for n in needs
    ]
    lines += [environment.markdown_table(head, rows, left=0), ""]
    lines.append("servers: processes that speak HTTP, a core each; within: between servers and replicas on other hosts\n")
    if gpu is not None:
        lines.append(f"GPUs are counted for another request than cores, {gpu['request']}: don't compare the two.\n")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
