"""The capacity model, by hand."""

from __future__ import annotations

import json

import pytest

MACHINE = {"cpu": "some", "cores": 4, "memory_gb": 8.0, "system": "Linux", "python": "3.11"}


def _row(way: str, models: float, front: float) -> dict:
    return {"way": way, "clients": 4, "models_per_second": models, "front_seconds": front, "bytes_in": 5e3, "bytes_out": 1e4}


def test_a_million_an_hour_by_hand():
    import capacity

    rows = [_row("batched", 400, 0.001), _row("Ray", 80, 0.004), _row("Ray", 100, 0.005)]
    measured = capacity.read({"throughput": rows, "machine": MACHINE, "work": "profile"})
    assert (measured.way, measured.models, measured.front) == ("Ray", 25, 0.005)
    need = capacity.need(measured, 1_000_000, 0.5)
    # 277.8 a second; 12.5 of a core at half; 1.39 servers' seconds a second, twice that at half.
    assert need.rate == pytest.approx(277.78, abs=0.01)
    assert (need.cores, need.servers) == (23, 3)
    assert (need.bytes_in, need.bytes_out) == (pytest.approx(1.389e6, rel=1e-3), pytest.approx(2.778e6, rel=1e-3))
    assert capacity.read({"throughput": rows[:1], "machine": MACHINE, "work": "profile"}).models == 100


def test_the_report_says_not_run_where_no_gpu_was(tmp_path, capsys):
    import capacity

    file = tmp_path / "serve.json"
    file.write_text(json.dumps({"throughput": [_row("Ray", 100, 0.005)], "machine": MACHINE, "work": "profile"}))
    capacity.main(["--serve", str(file), "--models-per-hour", "1e6", "--table", str(tmp_path / "capacity.md")])
    told = capsys.readouterr().out
    assert "| 1,000,000 | 277.8 | 16 | not run | 2 | 1.39 | 2.78 | 4.17 |" in told
    assert (tmp_path / "capacity.md").read_text() == told
    counted = {"models": [{"models_per_second": n, "request": f"{n:g} units"} for n in (300.0, 100.0)]}
    for found, gpus in ((counted, "4"), ({"models": []}, "not run")):
        (tmp_path / "kernels.json").write_text(json.dumps(found))
        capacity.main(["--serve", str(file), "--models-per-hour", "1e6", "--gpu", str(tmp_path / "kernels.json")])
        told = capsys.readouterr().out
        assert f"| 277.8 | 16 | {gpus} | 2 |" in told
        assert ("for another request than cores, 100 units" in told) is (found is counted)
