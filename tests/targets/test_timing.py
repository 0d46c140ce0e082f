"""One row in a warm process: which rows are asked, how often, and what is made of the times."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from modelgpt_edge.targets import timing
from modelgpt_edge.targets.timing import CALLS, DIFFERENT, WARM_UP, latency, time_rows


class Recorder:
    """An executor that moves a fake clock by a known time a call, and keeps what it was asked."""

    def __init__(self, costs: list[float]) -> None:
        self.costs, self.now, self.asked = costs, 0.0, []

    def run(self, numbers: np.ndarray, codes: np.ndarray) -> np.ndarray:
        assert len(numbers) == len(codes) == 1
        self.now += self.costs[len(self.asked) % len(self.costs)]
        self.asked.append((float(numbers[0, 0]) if numbers.shape[1] else None, int(codes[0, 0]) if codes.shape[1] else None))
        return np.zeros((1, 1), np.float32)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    made = Recorder([i * 1e-6 for i in range(1, 21)])
    monkeypatch.setattr(timing.time, "perf_counter", lambda: made.now)
    return made


def rows(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(count, dtype=np.float32)[:, None], np.arange(count, dtype=np.int32)[:, None]


def test_the_warm_up_is_not_counted(recorder: Recorder) -> None:
    recorder.costs = [i * 1e-6 for i in range(WARM_UP + 40)]
    times = time_rows(recorder, *rows(3), calls=40)
    assert len(recorder.asked) == WARM_UP + 40
    assert times == pytest.approx(range(WARM_UP, WARM_UP + 40))


@pytest.mark.parametrize(("given", "different"), [(1, 1), (7, 7), (500, DIFFERENT)])
def test_rows_take_turns_so_that_one_row_s_caches_flatter_nothing(given: int, different: int, recorder: Recorder) -> None:
    time_rows(recorder, *rows(given))
    assert len({number for number, _ in recorder.asked}) == different
    assert [number for number, _ in recorder.asked[:different]] == [float(i) for i in range(different)]
    assert all(number == code for number, code in recorder.asked)


def test_a_table_of_words_alone_has_rows_too(recorder: Recorder) -> None:
    numbers, codes = np.zeros((5, 0), np.float32), rows(5)[1]
    time_rows(recorder, numbers, codes)
    assert {code for _, code in recorder.asked} == set(range(5))


def test_quantiles_are_those_of_the_times(recorder: Recorder) -> None:
    measured = latency(recorder, *rows(1))
    assert set(measured) == {"p50_us", "p90_us", "p99_us"}
    times = sorted(c * 1e6 for c in recorder.costs) * (CALLS // 20)
    assert measured["p50_us"] == pytest.approx(statistics.median(times))
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    assert measured["p90_us"] == pytest.approx(cuts[89])
    assert measured["p99_us"] == pytest.approx(cuts[98])
