"""Benches that are many units of one fit each: which ones are asked for and can run here, and running them one by one.

What a unit is, and what is kept of it, is the bench's own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol, TypeVar

import environment


class Contender(Protocol):
    """What is told of a contender: its name in options and in tables, and the modules that must import."""

    @property
    def key(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def needs(self) -> tuple[str, ...]: ...


class Unit(Protocol):
    """What is told of a unit: the title of its contender."""

    @property
    def contender(self) -> str: ...


C = TypeVar("C", bound=Contender)
L = TypeVar("L", bound=Unit)
K = TypeVar("K")
U = TypeVar("U")
S = TypeVar("S")


def known(wanted: Sequence[K], every: Sequence[K], option: str) -> list[K]:
    """Those of `every` that are wanted, in its order; anything else ends the bench."""
    for one in wanted:
        if one not in every:
            raise SystemExit(f"{option}: unknown {one!r}; known: {', '.join(map(str, every))}")
    return [one for one in every if one in wanted]


def installed(contenders: Sequence[C], extra: str) -> tuple[list[C], list[str]]:
    """The contenders whose libraries are here, and the others with the reason; `extra` is what to install."""
    able, unrun = [], []
    for contender in contenders:
        lacking = [module for module in contender.needs if find_spec(module) is None]
        if lacking:
            unrun.append(f"{contender.title}: {', '.join(lacking)} not installed ({extra})")
            environment.say(f"not run: {unrun[-1]}")
        else:
            able.append(contender)
    return able, unrun


def left_to_run(units: Sequence[L], done: Container[L], contenders: Sequence[C], again: Container[str]) -> list[L]:
    """The units that aren't done, and those of contenders whose keys are to be run `again`."""
    afresh = {c.title for c in contenders if c.key in again}
    todo = [unit for unit in units if unit.contender in afresh or unit not in done]
    environment.say(f"{len(units)} units, {len(units) - len(todo)} of them done already")
    return todo


def run_all(
    todo: Sequence[U],
    one: Callable[[U, S], dict],
    settings: S,
    threads: int,
    out: Path,
    told: Callable[[dict], str],
    set_up: Callable[[int], None] | None = None,
) -> None:
    """Run one after the other in a process started afresh, which sees the pinned threads; rows are written as they come.

    Args:
        set_up: what that process does first, given the threads; it is held to so many cores where not given.
    """
    if not todo:
        return
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=set_up or hold_cores, initargs=(threads,)) as pool:
        for count, unit in enumerate(todo, 1):
            row = pool.submit(one, unit, settings).result()
            environment.append_jsonl(out, row)
            environment.say(f"[{count}/{len(todo)}] {told(row)}")


def hold_cores(threads: int) -> None:
    """Hold this process to so many cores, for ONNX Runtime counts those of the machine, whatever the environment says."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
