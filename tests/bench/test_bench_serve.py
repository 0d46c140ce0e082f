"""The load of the server's bench: whole requests, and figures that a wrong answer can't get into."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest


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
