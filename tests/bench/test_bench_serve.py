"""The load of the server's bench: whole requests, and figures that a wrong answer can't get into."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("work", ["profile", "linear", "rows"])
def test_requests_are_whole_and_all_different(work):
    import serve_load

    requests = [serve_load.request(work, number) for number in range(4)]
    assert len(set(requests)) == 4
    for request in requests:
        head, _, body = request.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
        if work == "rows":
            assert set(body.decode().splitlines()[0].split(",")) == {*(f"a{c}" for c in range(8)), "label"}
        else:
            size = int.from_bytes(body[:8], "little")
            assert json.loads(body[8 : 8 + size])["targets"]["shape"][1] == 3


def test_figures_are_of_answers_alone():
    import serve_load

    seen = serve_load.Seen()
    for number in range(100):
        seen.add(number, 200, {"modelgpt-batch": "4"}, b"weights", time.perf_counter() - number / 1000)
    seen.add(0, 429, {}, b"refused", 0.0)
    facts = seen.facts(10)
    assert facts["models_per_second"] == 10
    assert facts["statuses"] == {"200": 100, "429": 1}
    assert facts["batch"] == 4
    assert facts["p99"] == pytest.approx(np.quantile(np.arange(100) / 1000, 0.99), abs=0.02)
    with pytest.raises(SystemExit, match="other weights"):
        seen.add(3, 200, {"modelgpt-batch": "1"}, b"other weights", 0.0)


@pytest.mark.parametrize("name", ["serve", "serve_memory"])
def test_the_pages_are_those_of_the_figures_that_are_kept(name):
    import serve_report

    found = json.loads((ROOT / "bench" / "results" / f"{name}.json").read_text(encoding="utf-8"))
    assert (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") == serve_report.page(found)


def test_a_page_says_of_every_goal_whether_it_was_reached():
    import serve_report

    found = json.loads((ROOT / "bench" / "results" / "serve.json").read_text(encoding="utf-8"))
    for ratio, p99, errors, told in ((2.0, 3.0, 0, ["met"] * 3), (1.99, 3.01, 1, ["missed"] * 3)):
        found["ratios"]["one by one"] = ratio
        for engine in found["overload"].values():
            engine |= {"p99_ratio": p99, "errors": errors}
        assert re.findall(r"\*\*Goal (\w+)\*\*", serve_report.page(found)) == told
    found = json.loads((ROOT / "bench" / "results" / "serve_memory.json").read_text(encoding="utf-8"))
    for growth, word in ((0.05, "met"), (0.051, "missed"), (-0.2, "met")):
        found["memory"]["growth"] = growth
        assert f"**Goal {word}**: memory grows by 5% at most; measured: {growth:+.1%}." in serve_report.page(found)
