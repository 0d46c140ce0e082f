"""The bench in one line: check every case, measure the roofs, time every case beside its baselines, count models end to end.

Nothing is timed, and no table comes, while a check is red. Without a GPU small cases are checked in Triton's interpreter and
the kernels are compiled ahead of time; what only a GPU can tell stays open.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import torch  # noqa: TID251 - asks for the GPU

from modelgpt_edge.errors import GateError
from modelgpt_edge.kernels.ahead import Resource
from modelgpt_edge.kernels.bench.cases import KERNELS, Case, cases
from modelgpt_edge.kernels.bench.checks import Check, check
from modelgpt_edge.kernels.bench.measure import measure
from modelgpt_edge.kernels.bench.models import Served
from modelgpt_edge.kernels.bench.processes import compile_ahead, interpret
from modelgpt_edge.kernels.bench.roofs import Roofs, measure_roofs, sheet
from modelgpt_edge.kernels.bench.rows import Row, geometric_mean, goals, worst
from modelgpt_edge.kernels.bench.surroundings import surroundings
from modelgpt_edge.kernels.bench.timing import Clock, Gpu
from modelgpt_edge.kernels.gpu import why_no_gpu
from modelgpt_edge.kernels.tune import tune

# Seconds after the checks, when no torch.compile, and no baseline, is begun any more. Checks come first and take as long as
# compiling does; `bench/gpu.sh` compiles before.
COMPILE_UNTIL, BASELINES_UNTIL = 40.0, 65.0
Say = Callable[[str], None]
Keep = Callable[[dict[str, Any]], None]
Serve = Callable[[], list[Served]]


@dataclass(frozen=True)
class Report:
    """All that a run found.

    Attributes:
        surroundings: see `surroundings`.
        no_gpu: why nothing was timed; "" where it was.
        cases: that are timed where there is a GPU.
        roofs: measured; None without a GPU.
        models: of a server's launches; none where they weren't measured.
        unserved: why they couldn't be; "" where nothing went wrong.
    """

    surroundings: dict[str, Any]
    no_gpu: str
    cases: list[Case]
    checks: list[Check]
    resources: list[Resource]
    roofs: Roofs | None
    rows: list[Row]
    models: list[Served] = field(default_factory=list)
    unserved: str = ""

    @property
    def sheet(self) -> Roofs | None:
        """The GPU's data sheet; None where it isn't known."""
        gpu = self.surroundings["gpu"]
        return None if gpu is None else sheet(gpu["name"])

    def to_json(self) -> dict[str, Any]:
        """As JSON values: an object for each kernel, compute capability and configuration, each check, each row."""
        last = worst(self.rows)
        return {
            **self.surroundings,
            "no_gpu": self.no_gpu or None,
            "roofs": None if self.roofs is None else asdict(self.roofs),
            "sheet": None if self.sheet is None else asdict(self.sheet),
            "checks": [asdict(c) for c in self.checks],
            "resources": [asdict(r) for r in self.resources],
            "rows": [] if self.roofs is None else [row.to_json(self.roofs) for row in self.rows],
            "not_run": [case.name for case in self.cases] if self.no_gpu else [],
            "geometric_mean": geometric_mean(r.ratio for r in self.rows),
            "worst": None if last is None else {"name": last.case.name, "ratio": last.ratio},
            "models": [served.to_json() for served in self.models],
            "unserved": self.unserved or None,
            "goals": [{**asdict(g), "met": g.met} for g in goals(self.rows, self.roofs, self.models)],
        }


def run(kernels: Sequence[str], say: Say, keep: Keep, serve: Serve, clock: Clock = time.perf_counter) -> Report:
    """Check and time some kernels.

    Args:
        keep: takes each row as JSON values as soon as it is measured, with where and of which kernel, so that a run that is
            ended loses nothing.
        serve: counts models end to end; GateError where that can't be done.

    Raises:
        GateError: a check is red, or a kernel doesn't compile.
    """
    reason = why_no_gpu()
    mine = [case for case in cases() if case.kernel in kernels]
    say(f"compiling {', '.join(kernels)} ahead of time, unless Triton's cache has them ...")
    with ThreadPoolExecutor() as pool:
        compiled = [pool.submit(compile_ahead, kernel) for kernel in kernels]
        say("checking ...")
        checks = interpret(kernels) if reason else _check(mine)
        require_green(checks)
        resources = [r for found in compiled for r in found.result()]
    if reason:
        return Report(surroundings(kernels), reason, mine, checks, resources, None, [])
    place, began = gpu(), clock()
    watch = Gpu(place)
    say("measuring the roofs ...")
    roofs = measure_roofs(watch, place)
    facts = surroundings(kernels)
    rows: dict[str, Row] = {}
    # Those that compile come first, while there is time for it.
    for case in sorted(mine, key=lambda case: not case.compiled):
        say(f"{clock() - began:5.1f} s: {case.name} ...")
        row = measure(case, watch, place, began + BASELINES_UNTIL, began + COMPILE_UNTIL, clock)
        rows[case.name] = row
        keep({"environment": facts, "kernel_hash": facts["kernels"][case.kernel], **row.to_json(roofs)})
    models: list[Served] = []
    unserved = ""
    if set(kernels) == set(KERNELS):
        say(f"{clock() - began:5.1f} s: models end to end ...")
        try:
            models = serve()
        except GateError as error:
            unserved = str(error)
            say(unserved)
    return Report(facts, "", mine, checks, resources, roofs, [rows[case.name] for case in mine], models, unserved)


def gpu() -> torch.device:
    """The current GPU."""
    return torch.device("cuda")


def require_green(checks: Sequence[Check]) -> None:
    """Raise GateError, naming the first, where a check is red."""
    red = [c for c in checks if c.fault]
    if red:
        cure = "No time counts while a result is wrong: run the tests in tests/kernels, and mend it."
        raise GateError(f"{len(red)} of {len(checks)} checks are red: {red[0].fault}", where=red[0].case, cure=cure)


def _check(mine: Sequence[Case]) -> list[Check]:
    place = gpu()
    tune(place)
    return [check(case, place) for case in mine]
