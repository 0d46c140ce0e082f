import csv
import sys

import numpy as np
import pytest
import scale
import synthetic
from environment import append_jsonl, markdown_table, read_jsonl
from processes import measure


def test_a_process_is_measured_with_its_memory_exit_code_and_outputs():
    code = (
        "import sys, time; b = bytearray(80_000_000); time.sleep(.2); print('out'); print('err', file=sys.stderr); sys.exit(3)"
    )
    run = measure([sys.executable, "-c", code])
    assert (run.code, run.stdout, run.stderr) == (3, "out\n", "err\n")
    assert 0.2 < run.seconds < 5
    assert 80 < run.peak_mb < 200


def test_memory_of_the_measuring_process_is_not_counted():
    ballast = np.ones(40_000_000)  # 320 MB
    run = measure([sys.executable, "-c", "pass"])
    assert run.peak_mb < 100
    assert ballast.sum() > 0


def test_a_cut_line_of_results_is_left_out(tmp_path, capsys):
    path = tmp_path / "results.jsonl"
    append_jsonl(path, {"a": 1})
    with path.open("a", encoding="utf-8") as file:
        file.write('{"a": ')
    assert read_jsonl(path) == [{"a": 1}]
    assert "not a JSON line" in capsys.readouterr().err


def test_markdown_escapes_bars():
    assert markdown_table(["a", "b"], [["x|y", 1]]).splitlines() == ["| a | b |", "| --- | ---: |", "| x\\|y | 1 |"]


def test_mixed_table_is_the_same_however_long_and_has_gaps(tmp_path):
    for rows in (200, 300):
        synthetic.write_mixed(tmp_path / f"{rows}.csv", rows)
    short, long = ((tmp_path / f"{rows}.csv").read_text(encoding="utf-8").splitlines() for rows in (200, 300))
    assert len(long) == 301
    assert long[: len(short)] == short
    header, *cells = csv.reader(long)
    assert len(header) == 21
    share = sum(cell == "" for line in cells for cell in line[:-1]) / (300 * 20)
    assert 0.02 < share < 0.04
    assert {line[-1] for line in cells} == {"yes", "no"}


def test_growth_is_told_against_a_hundred_thousand_rows():
    sizes = [{"rows": 1000, "seconds": 1.0}, {"rows": 100_000, "seconds": 2.0}, {"rows": 1_000_000, "seconds": 26.0}]
    scale.add_growth(sizes)
    assert [s["seconds_a_row_over_1e5"] for s in sizes] == pytest.approx([50, 1, 1.3])
    scale.add_growth(sizes[:1])
    assert sizes[0]["seconds_a_row_over_1e5"] is None


def test_three_classes_are_balanced_enough_to_score():
    _, y = synthetic.three_classes()
    assert min((y == name).mean() for name in ("low", "middle", "high")) > 0.1
