"""Ratios, summary, tables, pictures, files and exit codes of a recorded run."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from modelgpt_edge.kernels.ahead import Resource
from modelgpt_edge.kernels.bench import run as running
from modelgpt_edge.kernels.bench.cases import KERNELS, Case, cases
from modelgpt_edge.kernels.bench.checks import Check
from modelgpt_edge.kernels.bench.contenders import TWO_STEPS
from modelgpt_edge.kernels.bench.files import append_row, write_report
from modelgpt_edge.kernels.bench.models import Served
from modelgpt_edge.kernels.bench.roofs import Roofs, sheet
from modelgpt_edge.kernels.bench.rows import Row, Timed, geometric_mean, goals, worst
from modelgpt_edge.kernels.bench.run import Report
from modelgpt_edge.kernels.bench.surroundings import kernel_hash, parse_clocks, surroundings
from modelgpt_edge.kernels.bench.table import amount, blocks, duration, header, markdown
from modelgpt_edge.kernels.bench.timing import Memory, Spread
from modelgpt_edge.kernels.shapes import Layer, Table

ROOFS = Roofs(4e12, 8e14, 3e14)
LAYERS = (Layer(1000, 1000),)
FLOAT = Case("emit", "a <layer>", LAYERS, 1, "fp16", "fp16", 8, launched=True)
CODES = Case("emit", "a <layer>", LAYERS, 100, "fp16", "i8", 8)
MERGED = Case("merge", "a <layer>", LAYERS, 100, "fp16", "fp16", 8)
MODELS = [Served(260, 7200, 6.0, 64, 16), Served(640, 12000, 5.0, 64, 16)]
SUMS = Case("gram", "a table", Table(1000, 10, 80, 8, 1), 1, "fp32", "fp64")


def timed(microseconds: float, wall: float = 0.0, extra: int = 0) -> Timed:
    return Timed(alone(microseconds), alone(wall or 2 * microseconds), Memory(1000 + extra, 1000), 60.0)


def alone(microseconds: float) -> Spread:
    return Spread(0.9e-6 * microseconds, 1e-6 * microseconds, 1.2e-6 * microseconds, 9)


@pytest.fixture
def rows() -> list[Row]:
    return [
        Row(FLOAT, timed(20, 40), alone(10), {"bmm": timed(40, 30), "loop": timed(60, 90), "grouped_mm": "fails: strides"}),
        Row(CODES, timed(200), alone(100), {"bmm": timed(180), TWO_STEPS: timed(360)}),
        Row(MERGED, timed(90), alone(80), {"torch.compile": "left out: no time was left"}),
        Row(SUMS, timed(55, extra=10), alone(50), {"batched": timed(110, extra=1000)}),
    ]


@pytest.fixture
def report(rows) -> Report:
    gpu = {"name": "NVIDIA H200", "memory_bytes": 140 << 30, "multiprocessors": 132, "cc": 90, "cuda": "13.0"}
    facts = surroundings(["emit", "merge", "gram"]) | {"gpu": gpu | parse_clocks("1980, 1980, 3201, 3201, 700.00, 41\n")}
    made = [Resource("emit fp16 to i8", 90, "BM 64", 71, 0, 16384, True, 3, True)]
    checks = [Check(r.case.name, r.case.kernel, 48, 73.7, "") for r in rows]
    return Report(facts, "", [r.case for r in rows], checks, made, ROOFS, rows, MODELS)


def test_ratios_are_to_the_best_baseline(rows):
    first = rows[0]
    assert (first.best, first.ratio) == ("bmm", pytest.approx(2.0))
    assert first.wall_ratio == pytest.approx(0.75)
    assert first.bandwidth == pytest.approx((8 * 2000 + 1e6) * 2 / 10e-6)
    assert first.speed == pytest.approx(16e6 / 10e-6)
    assert (rows[2].best, rows[2].ratio) == (None, None)


def test_a_share_is_of_the_nearer_roof(rows):
    first, sums = rows[0], rows[3]
    assert ROOFS.bound(first.case) == "memory"
    assert first.share(ROOFS) == pytest.approx(2 * (8 * 2000 + 1e6) / 4e12 / 10e-6)
    assert ROOFS.bound(sums.case) == "arithmetic"
    # float32 is three products of tf32.
    assert sums.share(ROOFS) == pytest.approx(sums.case.flops / 1e14 / 50e-6)


def test_mean_and_worst_row(rows):
    assert geometric_mean([r.ratio for r in rows]) == pytest.approx((2 * 0.9 * 2) ** (1 / 3))
    assert geometric_mean([None]) is None
    assert worst(rows) is rows[1]
    assert worst(rows[2:3]) is None


def test_goals_are_judged_by_the_worst_row(rows):
    found = goals(rows, ROOFS, MODELS)
    copied = CODES.moved_bytes / 100e-6 / 4e12
    wanted = (copied, (2 * 0.9 * 2) ** (1 / 3), 0.9, 1.8, 2.0, 0.01, 1200.0)
    assert [g.measured for g in found] == [pytest.approx(v) for v in wanted]
    assert [g.met for g in found] == [False, True, False, True, True, True, True]
    assert {g.met for g in goals([], None)} == {None}


def test_tables_hide_nothing(report):
    made = {block.title: block for block in blocks(report)}
    assert [len(made[title].rows) for title in ("Times", "Baselines", "Checks", "Ahead of time")] == [4, 7, 4, 1]
    assert made["Times"].rows[0][:3] == ["emit", "a <layer>, rank 8", "fp16"]
    times = ["10.0 us", "9.00 us to 12.0 us", "20.0 us", "18.0 us to 24.0 us", "40.0 us", "36.0 us to 48.0 us", "203"]
    assert made["Times"].rows[0][4:11] == times
    told = [row[4:9] for row in made["Baselines"].rows]
    assert told[0] == ["bmm *", "40.0 us", "30.0 us", "2.00", "0.75"]
    assert told[2][:2] == ["grouped_mm", "fails: strides"]
    assert made["Summary"].rows[2] == ["the worst row's ratio", ">= 0.95", "0.90, not met"]
    assert f"emit: geometric mean 1.34; the worst row {CODES.name}, 0.90 of bmm" in made["Summary"].remarks
    assert made["Summary"].rows[6][1:] == [">= 1,000", "1,200"]
    assert "a server launches LoRA for MiniLM and draws of 640 units: geometric mean 2.00;" in made["Summary"].remarks[-1]
    assert made["Models"].rows[0] == ["256 rows x 16 columns, 260 units distilled", "1,200", "64", "16"]
    assert made["Roofs"].rows[0] == ["device copy, TB/s", "4", "4.8"]
    lines = dict(header(report))
    assert lines["GPU"] == "NVIDIA H200, 140 GB, 132 multiprocessors, sm_90, CUDA 13.0"
    assert lines["Clocks"] == "multiprocessors 1,980 of 1,980 MHz, memory 3,201 of 3,201 MHz, up to 700 W, 41 C"
    for block in made.values():
        assert {len(row) for row in (block.head, *block.rows)} == {len(block.head)}


def test_files(report, tmp_path):
    write_report(report, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kernels.json", "kernels.md", "roofline.svg", "size_sweep.svg"]
    whole = json.loads((tmp_path / "kernels.json").read_text())
    assert whole["worst"] == {"name": CODES.name, "ratio": pytest.approx(0.9)}
    assert whole["resources"][0]["shared_bytes"] == 16384
    assert len(whole["rows"]) == 4
    assert "| emit | a <layer>, rank 8 | fp16 | 1 | 10.0 us |" in (tmp_path / "kernels.md").read_text()


def test_rows_are_lines_that_say_all(report, tmp_path):
    for row in report.rows:
        append_row(tmp_path, row.to_json(ROOFS))
    first, *others = (json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines())
    assert len(others) == 3
    assert first["ours"]["kernel"] == pytest.approx({"low": 9e-6, "median": 1e-5, "high": 1.2e-5, "runs": 9})
    assert first["ours"]["span"] == pytest.approx({"low": 18e-6, "median": 2e-5, "high": 2.4e-5, "runs": 9})
    assert first["baselines"]["grouped_mm"] == {"reason": "fails: strides"}
    assert (first["best"], first["case"]["flops"]) == ("bmm", 16_000_000)


def test_a_kernels_hash_is_of_its_own_sources_and_the_shared_ones(tmp_path, monkeypatch):
    for name in ("tiles.py", "emit/triton.py", "merge/triton.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("one")
    monkeypatch.setattr("modelgpt_edge.kernels.bench.surroundings.KERNELS", tmp_path)
    first = kernel_hash("emit"), kernel_hash("merge")
    (tmp_path / "emit/triton.py").write_text("two")
    assert (kernel_hash("emit") != first[0], kernel_hash("merge") != first[1]) == (True, False)
    (tmp_path / "tiles.py").write_text("two")
    assert kernel_hash("merge") != first[1]


def test_the_page_is_of_these_kernels():
    page = (Path(__file__).parents[2] / "docs" / "kernels.md").read_text(encoding="utf-8")
    made = ", ".join(f"{name} {kernel_hash(name)}" for name in KERNELS)
    assert f"* **Kernels**: {made}\n" in page, "run: modelgpt-edge bench kernels --out FOLDER, and copy its kernels.md to docs"
    for case in cases():
        rank = f", rank {case.rank}" if case.rank else ""
        assert f"| {case.kernel} | {case.template}{rank} | {case.types} | {case.requests:,} |" in page


def test_pictures_place_every_row_where_it_belongs(report, tmp_path):
    write_report(report, tmp_path)
    space = "{http://www.w3.org/2000/svg}"
    roofline, sweep = (ElementTree.parse(tmp_path / f"{name}.svg").getroot() for name in ("roofline", "size_sweep"))
    dots = {dot.find(f"{space}title").text: dot for dot in roofline.iter(f"{space}circle")}
    assert set(dots) == {row.case.name for row in report.rows}
    # Both axes are logarithms: differences in pixels are of decades.
    up = [float(dots[c.name].get("cy")) for c in (FLOAT, CODES, MERGED)]
    speeds = [math.log10(r.speed) for r in report.rows[:3]]
    assert (up[0] - up[1]) / (up[0] - up[2]) == pytest.approx((speeds[0] - speeds[1]) / (speeds[0] - speeds[2]), rel=0.01)
    wide, high = float(roofline.get("width")), float(roofline.get("height"))
    for picture in (roofline, sweep):
        for line in picture.iter(f"{space}polyline"):
            for x, y in (point.split(",") for point in line.get("points").split()):
                assert 0 < float(x) < wide
                assert 0 < float(y) < high
    # No template here has rows at two numbers of requests, so there is no curve, only the copy.
    assert len(list(sweep.iter(f"{space}circle"))) == 0


def test_a_curve_for_what_comes_at_several_sizes(report, tmp_path):
    more = Row(Case("emit", "a <layer>", LAYERS, 10, "fp16", "fp16", 8), timed(30), alone(30), {})
    running_report = Report(**{**vars(report), "rows": [*report.rows, more]})
    write_report(running_report, tmp_path)
    sweep = ElementTree.parse(tmp_path / "size_sweep.svg").getroot()
    assert len(list(sweep.iter("{http://www.w3.org/2000/svg}circle"))) == 2


def test_without_a_gpu_every_time_is_open(report):
    bare = Report({**report.surroundings, "gpu": None}, "torch.cuda sees no GPU", report.cases, report.checks, [], None, [])
    assert header(bare)[0][0] == "No GPU"
    made = {block.title: block for block in blocks(bare)}
    assert {cell for row in made["Times"].rows for cell in row[4:]} == {"not run"}
    assert {row[2] for row in made["Summary"].rows} == {"not run"}
    assert {cell for row in made["Models"].rows for cell in row[1:]} == {"not run"}
    assert "| not run |" in markdown(bare)
    broken = Report(**{**vars(report), "models": [], "unserved": "models: a model wasn't made."})
    assert "models: a model wasn't made." in {block.title: block for block in blocks(broken)}["Models"].remarks
    assert bare.to_json()["not_run"] == [case.name for case in bare.cases]


def test_clocks_that_are_not_told_are_left_out():
    assert parse_clocks("1980, [N/A], 3201, 3201, [N/A], 41\n") == {
        "sm_mhz": 1980, "memory_mhz": 3201, "most_memory_mhz": 3201, "celsius": 41,
    }  # fmt: skip
    assert parse_clocks("") == {}


def test_data_sheets_go_by_the_drivers_names():
    assert sheet("NVIDIA H100 80GB HBM3").copy == 3350e9
    assert sheet("NVIDIA H100 PCIe").half == 756e12
    assert sheet("GeForce 256") is None


@pytest.mark.parametrize(
    ("seconds", "words"), [(9.99e-6, "9.99 us"), (123.4e-6, "123 us"), (9.999e-4, "1.00 ms"), (1.5, "1.50 s")]
)
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_amounts():
    assert [amount(n) for n in (0, 999, 1 << 20, 3 << 30)] == ["0 B", "999 B", "1 MB", "3 GB"]


def test_a_ratio_below_is_exit_1_and_names_the_row(report, cli, monkeypatch, tmp_path):
    monkeypatch.setattr(running, "run", lambda kernels, say, keep, serve: report)
    ran = cli("bench", "kernels", "--fail-below", "0.95", "--out", tmp_path)
    assert ran.code == 1
    assert f"error: --fail-below: {CODES.name} is 0.90 times as fast as bmm, which is less than 0.95." in ran.err
    assert "\nBaselines\n" in ran.out
    assert (tmp_path / "roofline.svg").exists()
    assert cli("bench", "kernels", "--fail-below", "0.9").code == 0


def test_red_is_exit_3_and_prints_nothing(cli, monkeypatch, tmp_path):
    red = Check("emit x", "emit", 1, None, "group 0: relative RMS 1, limit 0.1")
    monkeypatch.setattr(running, "interpret", lambda kernels: [red])
    monkeypatch.setattr(running, "compile_ahead", lambda kernel: [])
    monkeypatch.setattr(running, "why_no_gpu", lambda: "torch.cuda sees no GPU")
    for arguments in ((), ("--json",)):
        ran = cli("bench", "kernels", "--out", tmp_path, *arguments)
        assert ran.code == 3
        assert ran.out == ""
        assert "error: emit x: 1 of 1 checks are red: group 0: relative RMS 1" in ran.err
    assert list(tmp_path.iterdir()) == []
