"""What the server's bench found, as pages: tables, each goal beside its figure, and whether it was reached.

Nothing is measured here: `python bench/serve_report.py bench/results/serve.json docs/serve.md` writes a page anew.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import environment
from serve_load import asked

# Clients at which batching is compared, and the share of what so many get that is asked for on a schedule.
COMPARED, SHARE = 64, 0.8
# Accepted requests under overload wait for those before them: as few as keep both cores busy.
SHORT_QUEUE = 8
MEMORY_CLIENTS = 16
# The goals: models a second by batching, p99 under overload, and growth of memory.
GAIN, SLOWER, GROWTH = 2.0, 3.0, 0.05


def page(result: dict) -> str:
    """The page of what was measured, in markdown."""
    head = f"{environment.described(result['machine'])}; `{result['command']}`"
    told = f"A model is what one request gives: {asked(result['work'])}. Other requests take other times."
    parts = _memory(result) if "memory" in result else [*_throughput(result), *_overload(result)]
    return "\n\n".join([head, told, *result.get("remarks", ()), *parts]) + "\n"


def _goal(what: str, met: bool, seen: str) -> str:
    return f"**Goal {'met' if met else 'missed'}**: {what}; measured: {seen}."


def _throughput(result: dict) -> list[str]:
    head = ["way", "clients", "models a second", "asked a second", "p50, ms", "p95, ms", "p99, ms"]
    head += ["models a launch", "front, ms", "memory, MB"]
    rows = []
    for r in result["throughput"]:
        s = r["scheduled"]
        rates = f"{r['models_per_second']:.1f}", f"{s['asked']:.1f}"
        # Ray gathers them where the answers don't tell of it.
        batch = "-" if r["way"] == "Ray" else f"{r['batch']:.1f}"
        rows.append(
            [r["way"], r["clients"], *rates, *_times(s), batch, f"{1000 * r['front_seconds']:.1f}", f"{r['memory'] / 1e6:.0f}"]
        )
    told = [
        environment.markdown_table(head, rows),
        "models a second, models a launch: of so many clients that each ask again as soon as they are answered",
        f"asked a second: {SHARE:.0%} of that, on a schedule, with so many in flight at most; p50 to p99 are counted from it",
        "front: processor time of the process that speaks HTTP, a request",
        "memory: the most that the server and all its processes held, resident; what they share counts for each",
    ]
    cores = result["machine"]["cores"]
    for other, ratio in result["ratios"].items():
        told.append(f"Batching at {COMPARED} clients makes {ratio:.2f} times the models a second of {other}.")
        if other == "one by one":
            what = f"batching makes {GAIN:g} times the models a second of one by one at {COMPARED} clients"
            told.append(
                f"{_goal(what, ratio >= GAIN, f'{ratio:.2f}')} One by one (`--batch 1`) has one launch under way, so one of "
                f"{cores} cores works. Batching fills the others and saves no arithmetic: it can make {cores} times as many at "
                "most, less what HTTP takes ([why](adr/0015-worker-processes-and-batches.md))."
            )
    return told


def _overload(result: dict) -> list[str]:
    head = ["engine", "load", "asked a second", "answered a second", "p50, ms", "p95, ms", "p99, ms", "refused", "errors"]
    rows = []
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
    found = result["overload"].values()
    errors, slower = sum(o["errors"] for o in found), [o["p99_ratio"] for o in found]
    seen = ", ".join(f"{o['p99_ratio']:.2f} ({engine})" for engine, o in result["overload"].items())
    what = f"p99 of accepted requests at 4 x capacity within {SLOWER:g} times that at half"
    return [
        environment.markdown_table(head, rows, left=2),
        "refused: told to come again",
        _goal("at 4 x capacity no error but 429", errors == 0, f"{errors}"),
        f"{_goal(what, max(slower) <= SLOWER, seen)} That is with `--queue {SHORT_QUEUE}`, not with the default: accepted "
        "requests wait for those before them, so a longer queue takes longer bursts and makes them wait longer. That isn't "
        "measured here.",
    ]


def _memory(result: dict) -> list[str]:
    found = result["memory"]
    every = max(1, len(found["samples"]) // 10)
    samples = [(f"{s['requests']:,}", f"{s['bytes'] / 1e6:.1f}") for s in found["samples"][every - 1 :: every]]
    goal = _goal(f"memory grows by {GROWTH:.0%} at most", found["growth"] <= GROWTH, f"{found['growth']:+.1%}")
    return [
        f"{found['requests']:,} requests in {found['seconds']:.0f} s from {MEMORY_CLIENTS} clients.",
        environment.markdown_table(["requests", "memory, MB"], samples),
        "memory: of the server and all its processes, resident; what they share counts for each",
        f"{goal} From {found['first'] / 1e6:.0f} MB after the first tenth, which fills caches and the allocators' pools, to "
        f"{found['last'] / 1e6:.0f} MB at the end, medians of five looks each.",
    ]


def _times(run: dict) -> list[str]:
    return [f"{1000 * run[name]:.0f}" for name in ("p50", "p95", "p99")]


if __name__ == "__main__":
    found, table = map(Path, sys.argv[1:])
    table.write_text(page(json.loads(found.read_text(encoding="utf-8"))), encoding="utf-8")
