"""`train`: legs from the command line, and what it refuses."""

from __future__ import annotations

import json

import pytest

SMALL = ("--rows", "24", "--columns", "3", "--batch", "2", "--threads", "1", "--tables-ahead", "4")


def test_a_leg_trains_and_the_next_one_goes_on(cli, tmp_path):
    out = tmp_path / "training"
    ran = cli("train", "tabular", "--minutes", "0.05", "--out", out, *SMALL, "--json")
    assert ran.code == 0, ran.err
    first = json.loads(ran.out)
    assert first["steps"] >= 1
    assert first["figures"]["step"] == first["steps"]
    assert first["figures"]["tables"] == 2 * first["steps"]
    assert first["bytes"] == (out / "corrector.safetensors").stat().st_size
    again = cli("train", "tabular", "--minutes", "0.0001", "--out", out, *SMALL)
    assert again.code == 0, again.err
    assert f"going on from step {first['steps']}" in again.err
    assert f"Steps         1 in this leg, {first['steps'] + 1} in all, on CPU, 1 thread" in again.out
    assert "Checkpoint" in again.out
    other = cli("train", "tabular", "--minutes", "1", "--out", out, *SMALL, "--seed", "5")
    assert other.code == 1
    assert "the training was begun with other settings" in other.err


def test_no_minutes_draw_the_tables_alone(cli, tmp_path):
    ran = cli("train", "tabular", "--minutes", "0", "--out", tmp_path / "t", *SMALL)
    assert ran.code == 0, ran.err
    assert "nothing was trained" in ran.out
    assert sorted(p.name for p in (tmp_path / "t").rglob("*")) == ["000000.safetensors", "000001.safetensors", "shards"]


@pytest.mark.parametrize("package", ["torch", "threadpoolctl"])
def test_without_what_training_needs_it_is_exit_4_with_the_cure(package, cli, tmp_path, monkeypatch):
    monkeypatch.setattr("modelgpt_edge.commands.train.find_spec", lambda name: None if name == package else object())
    ran = cli("train", "tabular", "--minutes", "1", "--out", tmp_path / "t")
    assert ran.code == 4
    assert f"error: train: training needs {package}" in ran.err
    assert "pip install 'modelgpt-edge[learn]'" in ran.err
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tabula", "--minutes", "1"], ["there is no such generator", "Did you mean 'tabular'?"]),
        (["tabular", "--minutes", "ten"], ["--minutes", "seen: 'ten'"]),
        (["tabular", "--minutes", "-1"], ["--minutes", "seen: '-1'"]),
        (["tabular", "--minutes", "inf"], ["--minutes", "seen: 'inf'"]),
        (["tabular", "--minutes", "1", "--rows", "5"], ["--rows", "seen: 5", "Give 24 or more."]),
        (["tabular", "--minutes", "1", "--threads", "0"], ["--threads", "Give 1 or more."]),
        (["tabular", "--minutes", "1", "--batch", "0"], ["--batch"]),
        (["tabular", "--minutes", "1", "--seed", "-3"], ["--seed"]),
    ],
)
def test_a_bad_value_is_exit_1(arguments, words, cli):
    ran = cli("train", *arguments)
    assert ran.code == 1
    assert [word for word in words if word not in ran.err] == []


def test_a_place_that_is_a_file_is_refused(cli, tmp_path):
    (tmp_path / "taken").write_text("mine")
    ran = cli("train", "tabular", "--minutes", "1", "--out", tmp_path / "taken", *SMALL)
    assert ran.code == 1
    assert "the training can't be kept here" in ran.err
    assert (tmp_path / "taken").read_text() == "mine"
