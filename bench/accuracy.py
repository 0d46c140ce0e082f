"""Accuracy on public tables, against peers fitted in the same run.

At most 2,000 rows of each set are sampled, half of each class trains and half tests, three seeds; every contender gets the
same raw columns, strings and gaps included. Results go to a JSONL file row by row; what is already in it is not run again.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import environment
from contender import Contender
from datasets import MissingDataError, groups, load, split, without
from ours import OURS
from peers import PEERS
from report import collect, latest, write_report
from synthetic import columns_of, three_classes

GROUPS = ("development", "report", "seed_ten", "regression", "regression_development", "regression_report")


@dataclass(frozen=True)
class Run:
    """One fit and its test: what a worker process is handed."""

    set: str
    seed: int
    kind: str
    contender: str


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    os.environ.update(environment.threads(1))  # for the worker processes, before they import numpy
    names = _sets(options.sets)
    readable, unread = _readable(names)
    kinds = {load(name).kind for name in readable}
    if len(kinds) > 1:
        raise SystemExit("--sets: classification and regression sets don't share a table; run them apart")
    if not kinds:
        raise SystemExit("--sets: none of the sets can be read here")
    kind = kinds.pop()
    chosen = _contenders(options.peers, options.ours, kind)
    seeds = range(options.seeds)
    runs = [Run(name, seed, kind, c.title) for name in readable for seed in seeds for c in chosen]
    done = latest(environment.read_jsonl(options.out))
    again = {c.title for c in chosen if c.key in (options.again or "").split(",")}
    todo = [r for r in runs if r.contender in again or (r.set, r.seed, r.contender) not in done]
    environment.say(f"{len(runs)} runs on {len(readable)} sets, {len(runs) - len(todo)} of them done already")
    _run_all(todo, options.jobs, options.out)
    if options.table:
        results = collect(options.out, readable, seeds, kind, [c.title for c in chosen])
        write_report(options.table, f"Accuracy: {' '.join(options.sets)} sets", results, unread)
        environment.say(f"wrote {options.table}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    keys = ", ".join(dict.fromkeys(p.key for p in PEERS))
    parser.add_argument(
        "--sets", nargs="+", default=["development"], metavar="SETS", help=f"{', '.join(GROUPS)}, or names of sets"
    )
    parser.add_argument("--peers", default="all", help=f"all, none, or some of: {keys} (comma-separated)")
    parser.add_argument("--ours", default="all", help=f"all, none, or some of: {', '.join(c.key for c in OURS)}")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds: samples, splits and fits (default 3)")
    parser.add_argument(
        "--jobs", type=int, default=environment.cores(), help="fits at a time, one thread each (default: all cores)"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE.jsonl", help="where results are kept, and resumed from"
    )
    parser.add_argument("--again", metavar="KEYS", help="contenders to run afresh even where the file holds their results")
    parser.add_argument("--table", type=Path, metavar="FILE.md", help="write the report of these sets and contenders here")
    return parser


def _sets(wanted: Sequence[str]) -> list[str]:
    named = groups()
    return list(dict.fromkeys(name for want in wanted for name in named.get(want, [want])))


def _readable(names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Sets that can be read here, and those that can't with the reason, each said once."""
    readable, unread = [], {}
    for name in names:
        reason = _why_not(name)
        if reason is None:
            readable.append(name)
        else:
            unread[name] = reason
            environment.say(f"skipped {name}: {reason}")
    return readable, unread


def _why_not(name: str) -> str | None:
    """Why a set can't be read here, None if it can; a name that no set has ends the bench."""
    try:
        load(name)
    except MissingDataError as reason:
        return str(reason)
    except ValueError as mistake:
        raise SystemExit(f"--sets: {mistake}; groups are {', '.join(GROUPS)}") from None
    return None


def _contenders(peers: str, ours: str, kind: str) -> list[Contender]:
    """Contenders chosen on the command line that take this kind of label and whose libraries are installed."""
    chosen = _named(peers, PEERS, "--peers") + _named(ours, OURS, "--ours")
    able = [c for c in chosen if kind in c.kinds]
    lacking = {c.title: [m for m in c.needs if find_spec(m) is None] for c in able}
    for title, modules in lacking.items():
        if modules:
            environment.say(f"skipped {title}: {', '.join(modules)} not installed (pip install -e '.[bench]')")
    return [c for c in able if not lacking[c.title]]


def _named(wanted: str, known: Sequence[Contender], option: str) -> list[Contender]:
    if wanted in ("all", "none"):
        return list(known) if wanted == "all" else []
    keys = {c.key for c in known}
    for key in wanted.split(","):
        if key not in keys:
            raise SystemExit(f"{option}: unknown {key!r}; known: {', '.join(sorted(keys))}")
    return [c for c in known if c.key in wanted.split(",")]


def _run_all(todo: Sequence[Run], jobs: int, out: Path) -> None:
    """Run in worker processes started afresh, so that each sees the pinned threads; rows are written as they come."""
    if not todo:
        return
    with ProcessPoolExecutor(max_workers=jobs, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(one, run) for run in todo]
        for count, future in enumerate(as_completed(futures), 1):
            row = future.result()
            environment.append_jsonl(out, row)
            environment.say(f"[{count}/{len(todo)}] {_line(row)}")


def _line(row: dict) -> str:
    head = f"{row['set']} seed {row['seed']} {row['contender']}:"
    if "error" in row:
        return f"{head} FAILED, {row['error']}"
    score = f"auc {row['auc']:.4f} log loss {row['log_loss']:.4f}" if "auc" in row else f"R2 {row['r2']:.4f}"
    return f"{head} {score} in {row['fit_seconds']:.2f} s"


@cache
def _warm(contender: Contender, kind: str) -> None:
    """Fit and ask a contender once on a small table before its first clock starts: imports and first calls are not its cost."""
    x, y = three_classes(90, 5)
    label = y.tolist() if kind == "classification" else [repr(float(v)) for v in x[:, 0]]
    columns = columns_of(x)
    contender.fit({**columns, "label": label}, "label", kind, 0).outputs(columns)


def one(run: Run) -> dict:
    """Fit one contender on one split and score it: a row of the results, with `error` in place of scores if it failed."""
    from metrics import classification_scores, regression_scores

    contender = next(c for c in (*PEERS, *OURS) if c.title == run.contender and run.kind in c.kinds)
    dataset = load(run.set)
    train_rows, test_rows = split(dataset, run.seed)
    train, test = dataset.take(train_rows), dataset.take(test_rows)
    row: dict = {"set": run.set, "seed": run.seed, "contender": run.contender}
    try:
        _warm(contender, run.kind)
        fitted = contender.fit(train, dataset.label, run.kind, run.seed)
        start = time.perf_counter()
        outputs = fitted.outputs(without(test, dataset.label))
        seconds = time.perf_counter() - start
        truth = test[dataset.label]
        if run.kind == "classification":
            scores = classification_scores(outputs, fitted.classes, truth)
        else:
            scores = regression_scores(outputs, [float(v) for v in truth])
    except Exception as failure:  # a contender that breaks on one set must not end the others; the row and the table name it
        row["error"] = f"{type(failure).__name__}: {failure}"
    else:
        costs = {"fit_seconds": fitted.fit_seconds, "predict_seconds": seconds, "model_bytes": fitted.model_bytes}
        row |= {**scores, **costs, "classes": len(fitted.classes)}
    return {
        **row,
        "rows": len(train_rows) + len(test_rows),
        "columns": len(dataset.columns) - 1,
        "when": environment.now(),
        "versions": environment.versions(contender.distributions),
        "machine": environment.machine(),
    }


if __name__ == "__main__":
    main()
