"""One case measured whole on the CPU, by its clock: our operation beside the baselines, and why one is missing."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch  # noqa: TID251 - operands are torch tensors

from modelgpt_edge.errors import GateError
from modelgpt_edge.kernels.bench import contenders, measure, run
from modelgpt_edge.kernels.bench.cases import Case
from modelgpt_edge.kernels.bench.contenders import COMPILED, Prepared
from modelgpt_edge.kernels.bench.roofs import Roofs
from modelgpt_edge.kernels.bench.rows import Timed
from modelgpt_edge.kernels.bench.timing import Memory, repeat, spread
from modelgpt_edge.kernels.shapes import Layer, Table
from modelgpt_edge.server import measuring
from modelgpt_edge.server.jobs import ProfileJob
from modelgpt_edge.server.measuring import measure_models

CPU = torch.device("cpu")
ROOFS = Roofs(1e10, 1e10, 1e10)
LAYERS = (Layer(16, 32), Layer(24, 8))
CASES = [
    Case("emit", "t", LAYERS, 2, "fp16", "i8", 8),
    Case("merge", "t", LAYERS, 2, "fp32", "fp32", 8, shared=True),
    Case("gram", "t", Table(20, 3, 4, 2, 1), 2, "fp32", "fp64"),
]


class Host:
    """A stopwatch of the CPU, which has no queue to fill and where nothing says when a kernel begins."""

    def wall(self, call) -> float:
        began = time.perf_counter()
        call()
        return time.perf_counter() - began

    def kernel(self, call) -> float:
        return self.wall(call) / 1000

    def span(self, call, wall: float) -> float:
        return self.wall(call)

    def memory(self, call) -> Memory:
        return Memory(3, 1)


@pytest.fixture(autouse=True)
def _briefly(monkeypatch):
    monkeypatch.setattr(measure, "BUDGET", 0.002)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kernel)
def test_a_row_has_our_times_and_every_baselines(case):
    row = measure.measure(case, Host(), CPU, math.inf, math.inf)
    assert row.baselines.pop(COMPILED) == "left out: compiles on a few rows alone"
    assert set(row.timed) == set(row.baselines)
    for timed in (row.ours, *row.timed.values()):
        assert 0 < timed.span.low <= timed.span.median <= timed.span.high
        assert timed.memory.extra == 2
    assert row.best in row.baselines
    # Ratios are of whole calls, what the roofs allow is held against the kernel alone.
    assert row.ratio == min(t.span.median for t in row.timed.values()) / row.ours.span.median
    assert row.bandwidth == case.moved_bytes / row.kernel.median
    assert row.kernel.median < row.ours.span.median


def test_when_the_time_is_up_ours_is_timed_still():
    row = measure.measure(CASES[0], Host(), CPU, -math.inf, -math.inf)
    assert isinstance(row.ours, Timed)
    assert set(row.baselines.values()) == {"left out: no time was left", "left out: compiles on a few rows alone"}
    assert row.best is row.ratio is row.wall_ratio is None


def test_a_baseline_that_fails_or_is_wrong_tells_why(monkeypatch):
    def out_of_memory(work):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 29 GiB.\nmore")

    def unlike(work):
        honest = contenders.BASELINES["emit"]["torch.matmul in a loop"](work)
        return Prepared(honest.call, lambda made, g: honest.part(made, g) * 1.1)

    monkeypatch.setattr(measure, "baselines", lambda case: {"large": out_of_memory, "unlike": unlike})
    row = measure.measure(CASES[0], Host(), CPU, math.inf, math.inf)
    assert row.baselines["large"] == "fails: CUDA out of memory. Tried to allocate 29 GiB."
    assert row.baselines["unlike"] == "wrong: 20.0 dB, and 36 are possible"
    assert not row.timed


def test_a_budget_ends_the_runs_and_three_are_made_anyhow():
    ticks = itertools.count()
    times = itertools.count(1.0)
    found = repeat(lambda: next(times), 10.0, lambda: float(next(ticks)))
    # The first isn't counted; the clock advances by one at each look.
    assert found.runs == 12
    assert found.median == np.median(np.arange(2.0, 14.0))
    assert repeat(lambda: 1.0, -1.0).runs == 3
    assert repeat(lambda: 1.0, math.inf).runs == 200


def test_quantiles_are_numpys():
    seconds = np.random.default_rng(0).exponential(size=57)
    found = spread(seconds.tolist())
    assert (found.low, found.median, found.high) == tuple(np.quantile(seconds, (0.1, 0.5, 0.9)))


@pytest.fixture
def on_the_cpu(monkeypatch) -> list[Case]:
    """The GPU's path of a run with the CPU in its place, and its cases."""
    mine = [*CASES[:2], replace(CASES[2], compiled=True)]
    monkeypatch.setattr(run, "cases", lambda: mine)
    monkeypatch.setattr(run, "why_no_gpu", lambda: "")
    monkeypatch.setattr(run, "gpu", lambda: CPU)
    monkeypatch.setattr(run, "Gpu", lambda place: Host())
    monkeypatch.setattr(run, "tune", lambda place: None)
    monkeypatch.setattr(run, "compile_ahead", lambda kernel: [])
    monkeypatch.setattr(run, "measure_roofs", lambda watch, place: ROOFS)
    monkeypatch.setattr(
        run, "surroundings", lambda kernels: {"gpu": {"name": "none"}, "kernels": dict.fromkeys(kernels, "f00")}
    )
    return mine


def test_a_timed_run_from_checks_to_report(on_the_cpu):
    """Checked, timed, kept as it goes, told in the table's order."""
    kept = []
    with torch.compiler.set_stance("force_eager"):
        report = run.run(
            ("emit", "merge", "gram"), lambda line: None, kept.append, lambda: measure_models("torch-cpu", 1, 2, 0.1)
        )
    assert [row.case for row in report.rows] == on_the_cpu
    assert [line["case"]["kernel"] for line in kept] == ["gram", "emit", "merge"]
    assert kept[0]["kernel_hash"] == "f00"
    assert isinstance(report.rows[2].baselines[COMPILED], Timed)
    assert [c.fault for c in report.checks] == ["", "", ""]
    told = report.to_json()
    assert told["geometric_mean"] > 0
    assert [m["units"] for m in told["models"]] == [260, 640]
    for served in report.models:
        assert served.models >= 2
        assert served.rate == served.models / served.seconds > 0
    assert told["goals"][-1]["measured"] == report.models[0].rate


@pytest.mark.usefixtures("on_the_cpu")
def test_compiling_and_checking_take_no_time_from_the_baselines(monkeypatch):
    """By a clock that advances by an hour with each kernel compiled and by a minute with each row."""
    seconds = [0.0]

    def compile_slowly(kernel):
        seconds[0] += 3600.0
        return []

    def keep(row):
        seconds[0] += 60.0

    monkeypatch.setattr(run, "compile_ahead", compile_slowly)
    with torch.compiler.set_stance("force_eager"):
        report = run.run(("emit", "merge", "gram"), lambda line: None, keep, list, lambda: seconds[0])
    emitted, merged, summed = (row.baselines for row in report.rows)
    # Rows that compile come first.
    assert isinstance(summed[COMPILED], Timed)
    assert isinstance(emitted["torch.bmm, padded"], Timed)
    assert merged["torch.addmm in a loop"] == "left out: no time was left"


def test_a_model_that_is_not_made_ends_the_count(tmp_path):
    job, said = ProfileJob(tmp_path / "absent", 260), r"a model wasn't made \(seen: 'this is no safetensors file'\)"
    with measuring._launches("torch-cpu", 1) as launches, pytest.raises(GateError, match=said):
        measuring._launch_until(launches, [job], math.inf)
