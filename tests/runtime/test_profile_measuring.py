"""What the measuring process counts, by a clock that only moves when it is told to, and how a fresh process is heard out."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from modelgpt_edge.errors import PackageError
from modelgpt_edge.runtime import fresh_process
from modelgpt_edge.runtime.fresh_process import measure
from modelgpt_edge.runtime.measuring import quantiles, run_sustained


class FakeClock:
    """Seconds that pass only while a row runs."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class FakeExecutor:
    """Takes as long as it is told for each row, and remembers the rows."""

    def __init__(self, clock: FakeClock, seconds) -> None:
        self.clock, self.seconds, self.seen = clock, seconds, []

    def run(self, numbers, codes):
        self.clock.now += self.seconds(self.clock.now)
        self.seen.append(float(numbers[0, 0]))
        return np.zeros((1, 2), np.float32)


def _rows(count: int):
    return [(np.full((1, 1), i, np.float32), np.zeros((1, 0), np.int32)) for i in range(count)]


def test_a_board_that_slows_down_shows_in_the_last_third():
    clock = FakeClock()
    executor = FakeExecutor(clock, lambda now: 0.01 if now < 2 else 0.02)
    found = run_sustained(executor, _rows(3), 3.0, clock=clock)
    assert found["first_third"]["p50_us"] == pytest.approx(10_000)
    assert found["last_third"]["p50_us"] == pytest.approx(20_000)
    assert found["first_third"]["rows_per_s"] == pytest.approx(100)
    assert found["last_third"]["rows_per_s"] == pytest.approx(50)
    assert found["rows"] == len(executor.seen)
    assert found["rows_per_s"] == pytest.approx(len(executor.seen) / clock.now)
    assert executor.seen[:7] == [0, 1, 2, 0, 1, 2, 0]


def test_rows_that_are_not_timed_are_counted():
    clock = FakeClock()
    executor = FakeExecutor(clock, lambda now: 0.001)
    found = run_sustained(executor, _rows(2), 3.0, every=7, clock=clock)
    assert found["timed_every"] == 7
    assert found["rows"] == len(executor.seen)
    assert found["rows"] % 7 == 0
    assert found["rows_per_s"] == pytest.approx(1000)


def test_a_row_slower_than_the_whole_run_is_still_timed():
    clock = FakeClock()
    found = run_sustained(FakeExecutor(clock, lambda now: 5.0), _rows(1), 0.3, clock=clock)
    assert found["first_third"]["p50_us"] == found["last_third"]["p50_us"] == pytest.approx(5e6)


def test_quantiles_are_numpys():
    times = np.random.default_rng(1).exponential(100, 5_000)
    expected = {f"p{q}_us": np.percentile(times, q) for q in (50, 90, 99)}
    assert quantiles(times.tolist()) == pytest.approx(expected, abs=1e-3)


def test_peak_memory_is_the_fresh_processes_own_and_not_its_parents(tmp_path):
    code = (
        "import sys, json, numpy as np\nfrom modelgpt_edge.runtime.fresh_process import measure\n"
        "filled = np.ones(40_000_000)\nprint(json.dumps(measure('bare', {}, sys.argv[1])))"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True)
    assert 8 << 20 < json.loads(ran.stdout)["peak_bytes"] < 160 << 20  # the parent holds 320 MB more than numpy


def test_a_process_that_dies_is_told_with_its_signal_and_last_words(tmp_path, monkeypatch):
    code = "import os, sys; print('out of luck', file=sys.stderr, flush=True); os.abort()"
    monkeypatch.setattr(fresh_process, "CODE", code)
    with pytest.raises(PackageError, match=r"ended by SIGABRT \(seen: 'out of luck'\)"):
        measure("main", {}, str(tmp_path))


def test_what_a_library_prints_does_not_get_between_the_lines(tmp_path, monkeypatch):
    code = (
        "from modelgpt_edge.runtime.measuring import _private_stdout\nsay = _private_stdout()\n"
        "import os\nprint('chatter')\nos.system('echo more chatter')\nsay({'stage': 'one'})\nsay({'done': {'value': 3}})"
    )
    monkeypatch.setattr(fresh_process, "CODE", code.replace("{", "{{").replace("}", "}}"))
    stages: list[str] = []
    assert measure("main", {}, str(tmp_path), stages.append) == {"value": 3}
    assert stages == ["one"]
