"""Measure one case: our kernel and every baseline, each first held against float64 and then timed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch  # noqa: TID251 - operands are torch tensors
from numpy.typing import NDArray
from torch import Tensor  # noqa: TID251

from modelgpt_edge.errors import ModelgptEdgeError
from modelgpt_edge.kernels.bench.cases import Case
from modelgpt_edge.kernels.bench.contenders import COMPILED, Prepared, baselines
from modelgpt_edge.kernels.bench.numerics import decibels, power
from modelgpt_edge.kernels.bench.rows import Row, Timed
from modelgpt_edge.kernels.bench.timing import Clock, Stopwatch, repeat
from modelgpt_edge.kernels.bench.work import draw, sample

# Seconds of each kind of time of each contender.
BUDGET = 0.06
# A baseline that is further from float64 than two roundings of its type explain does something else, and doesn't count.
LEAST_DB = {"fp64": 100.0, "fp32": 120.0, "fp16": 60.0, "bf16": 42.0, "i8": 36.0}


def measure(
    case: Case, watch: Stopwatch, place: torch.device, until: float, compile_until: float, clock: Clock = time.perf_counter
) -> Row:
    """Times of one case.

    Args:
        until, compile_until: by the clock, when no baseline, and no torch.compile, is begun any more. Ours always is.
    """
    work = draw(case, place)
    groups = sample(work)
    exact = list(work.exact(groups))
    ours = _timed(Prepared(work.ours, work.part), groups, exact, watch, clock)
    kernel = repeat(lambda: watch.kernel(work.ours), BUDGET, clock)
    found: dict[str, Timed | str] = {}
    for name, prepare in baselines(case).items():
        if name == COMPILED and not case.compiled:
            found[name] = "left out: compiles on a few rows alone"
        elif clock() > (compile_until if name == COMPILED else until):
            found[name] = "left out: no time was left"
        else:
            try:
                timed = _timed(prepare(work), groups, exact, watch, clock)
            # Whatever torch can't do on this device, or has no memory for.
            except (RuntimeError, ModelgptEdgeError) as error:
                found[name] = f"fails: {_first_line(error)}"
            else:
                found[name] = _accepted(timed, LEAST_DB[case.stored])
            # What it compiled holds on to its operands, and counts against a limit of recompilations.
            torch.compiler.reset()
        if place.type == "cuda":
            torch.cuda.empty_cache()
    return Row(case, ours, kernel, found)


def _timed(prepared: Prepared, groups: NDArray[Any], exact: Sequence[Tensor], watch: Stopwatch, clock: Clock) -> Timed:
    ratio = _noise(prepared, groups, exact)
    wall = repeat(lambda: watch.wall(prepared.call), BUDGET, clock)
    span = repeat(lambda: watch.span(prepared.call, wall.median), BUDGET, clock)
    return Timed(span, wall, watch.memory(prepared.call), ratio)


def _noise(prepared: Prepared, groups: NDArray[Any], exact: Sequence[Tensor]) -> float | None:
    made, signal, noise = prepared.call(), 0.0, 0.0
    for group, wanted in zip(groups.tolist(), exact):
        more, off = power(prepared.part(made, group), wanted)
        signal, noise = signal + more, noise + off
    return decibels(signal, noise)


def _accepted(timed: Timed, least: float) -> Timed | str:
    if timed.sqnr_db is None:
        return "wrong: its result isn't finite"
    return timed if timed.sqnr_db >= least else f"wrong: {timed.sqnr_db:.1f} dB, and {least:.0f} are possible"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
