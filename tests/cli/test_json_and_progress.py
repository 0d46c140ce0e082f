"""JSON on stdout and nothing else there; progress on stderr, as a bar where that is a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import modelgpt_edge


def test_build_prints_one_object_with_the_fields_that_scripts_rely_on(cli, patients, write_csv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv(Path("table.csv"), patients)
    ran = cli("build", "--task", "predict the outcome", "--data", "table.csv", "--target", "jetson", "--draws", "1", "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert report["package"] == "table.edge"
    assert report["requirement"].items() >= {"modality": "table", "kind": "classification", "classes": ["ill", "well"]}.items()
    assert {"sentence", "limits", "label"} <= set(report["requirement"])
    assert {"template", "parameters", "bytes"} <= set(report["architecture"])
    assert {"name", "seconds"} <= set(report["generator"])
    assert {"metric", "value", "low", "high", "method"} <= set(report["score"])
    assert 0 <= report["score"]["low"] <= report["score"]["value"] <= report["score"]["high"] <= 1
    assert sum(point["chosen"] for point in report["frontier"]) == 1
    assert all(v["target"] == "jetson-orin-nano" and v["status"] == "built, not run" for v in report["variants"])
    assert all(v["note"] and v["profile"] == {} and v["latency_us"] is None for v in report["variants"])
    assert {v["path"] is not None for v in report["variants"] if v["kept"]} == {True}
    assert all(check["passed"] for check in report["checks"])
    assert report["seconds"] > 0
    assert [line.removesuffix(" ...") for line in ran.err.splitlines()] == [
        "reading",
        "scoring sizes",
        "generating",
        "cross-validating",
        "compiling",
        "writing",
    ]


def test_predict_prints_a_list_with_an_object_a_row(cli, package, patients, write_csv, tmp_path):
    rows = write_csv(tmp_path / "rows.csv", patients)
    ran = cli("predict", package, rows, "--json")
    assert ran.code == 0
    values = json.loads(ran.out)
    assert len(values) == len(patients)
    for value in values:
        assert set(value) == {"label", "probabilities"}
        assert list(value["probabilities"]) == ["ill", "well"]
        assert sum(value["probabilities"].values()) == pytest.approx(1, abs=1e-6)
        assert value["label"] == max(value["probabilities"], key=value["probabilities"].get)


@pytest.mark.usefixtures("few_sizes")
def test_regression_prints_values(cli, patients, write_csv, tmp_path):
    out = tmp_path / "weight.edge"
    modelgpt_edge.build("predict the weight", patients, label="weight", out=out, draws=1)
    rows = write_csv(tmp_path / "rows.csv", patients[:3])
    values = json.loads(cli("predict", out, rows, "--json").out)
    assert [set(value) for value in values] == [{"value"}] * 3
    lines = cli("predict", out, rows).out.splitlines()
    assert lines[0] == "value"
    assert [float(line) for line in lines[1:]] == pytest.approx([value["value"] for value in values], rel=1e-5)


def test_out_takes_what_stdout_would_have_got(cli, package, patients, write_csv, tmp_path):
    rows = write_csv(tmp_path / "rows.csv", patients)
    for options in ([], ["--json"]):
        printed = cli("predict", package, rows, *options)
        written = cli("predict", package, rows, *options, "--out", tmp_path / "out", "--force")
        assert written.out == ""
        assert "60 predictions in" in written.err
        assert (tmp_path / "out").read_text(encoding="utf-8") == printed.out


def test_out_is_not_replaced_without_force(cli, package, patients, write_csv, tmp_path):
    (tmp_path / "out").write_text("precious", encoding="utf-8")
    ran = cli("predict", package, write_csv(tmp_path / "rows.csv", patients), "--out", tmp_path / "out")
    assert ran.code == 1
    assert "--force" in ran.err
    assert (tmp_path / "out").read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize("command", ["verify", "inspect", "targets", "doctor"])
def test_every_other_command_prints_json(command, cli, package, probed_once):
    arguments = [package] if command in ("verify", "inspect") else []
    ran = cli(command, *arguments, "--json")
    assert ran.code == 0, ran.err
    value = json.loads(ran.out)
    if command == "verify":
        assert value["passed"]
        assert len(value["hops"]) == 1 + len(modelgpt_edge.load(package).package.manifest.variants)
    elif command == "inspect":
        assert value["classes"] == ["ill", "well"]
    else:
        assert "x86" in str(value)


def test_a_progress_bar_shows_on_a_terminal_and_leaves_stdout_alone(patients, write_csv, tmp_path):
    table = write_csv(tmp_path / "table.csv", patients)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "modelgpt_edge", "build", "--task", "predict the outcome", "--data", str(table), "--json"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:  # how a terminal says that its program has gone
            pass
        assert process.stdout is not None
        report = json.loads(process.stdout.read())
    os.close(ours)
    assert process.returncode == 0
    assert report["package"] == "table.edge"
    text = shown.decode()
    assert "cross-validating" in text
    assert "\u2501" in text, "no bar was drawn"
    assert "100%" in text
    assert "Traceback" not in text
