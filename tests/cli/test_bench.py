"""`bench kernels` as a user meets it where there is no GPU, and what it refuses."""

from __future__ import annotations

import json

import pytest
import torch  # noqa: TID251 - asks for the GPU

SEEN = pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU it times, which takes two minutes")


@SEEN
def test_without_a_gpu_it_checks_and_compiles(cli, tmp_path):
    ran = cli("bench", "kernels", "--kernel", "gram", "--json", "--out", tmp_path / "found")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert told["no_gpu"] == "torch.cuda sees no GPU"
    assert told["gpu"] is told["roofs"] is told["geometric_mean"] is told["worst"] is None
    assert [c["fault"] for c in told["checks"]] == [""]
    assert told["checks"][0]["sqnr_db"] > 100
    found = {(r["kernel"], r["cc"], r["configuration"], r["aligned"]) for r in told["resources"]}
    assert len(found) == len(told["resources"]) == 24
    assert {r["cc"] for r in told["resources"]} == {80, 87, 90, 100}
    assert all(r["registers"] > 0 and r["spills"] == 0 and r["shared_bytes"] > 0 for r in told["resources"])
    assert told["rows"] == []
    assert len(told["not_run"]) == 8
    assert sorted(p.name for p in (tmp_path / "found").iterdir()) == ["kernels.json", "kernels.md"]
    assert json.loads((tmp_path / "found/kernels.json").read_text()) == told

    again = cli("bench", "kernels", "--kernel", "gram", "--fail-below", "1")
    assert again.out.startswith("No GPU        torch.cuda sees no GPU: nothing is timed")
    assert "not run" in again.out
    assert "sm_100" in again.out
    assert again.code == 4
    assert "error: --fail-below: nothing was timed, as torch.cuda sees no GPU. Run it on a GPU." in again.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["kernel"], ["there is no such bench", "Did you mean 'kernels'?"]),
        (["kernels", "--kernel", "emitt"], ["there is no such kernel", "Did you mean 'emit'?"]),
        (["kernels", "--fail-below", "much"], ["--fail-below", "seen: 'much'"]),
        (["kernels", "--fail-below", "0"], ["--fail-below", "Give a number above 0"]),
        (["kernels", "--fail-below", "nan"], ["--fail-below"]),
    ],
)
def test_a_bad_value_is_exit_1(arguments, words, cli):
    ran = cli("bench", *arguments)
    assert ran.code == 1
    assert [word for word in words if word not in ran.err] == []


def test_a_folder_that_is_a_file_is_refused(cli, tmp_path):
    (tmp_path / "taken").write_text("mine")
    ran = cli("bench", "kernels", "--out", tmp_path / "taken")
    assert ran.code == 1
    assert "--out: this is no folder" in ran.err
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize("package", ["torch", "triton"])
def test_without_what_kernels_need_it_is_exit_4_with_the_cure(package, cli, monkeypatch):
    monkeypatch.setattr("modelgpt_edge.commands.bench.find_spec", lambda name: None if name == package else object())
    ran = cli("bench", "kernels")
    assert ran.code == 4
    assert f"error: bench: the kernels need {package}, which isn't installed." in ran.err
    assert "pip install 'modelgpt-edge[kernels]'" in ran.err
