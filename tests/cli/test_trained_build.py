"""`build --generator trained`: the shipped corrector corrects the floor, and report, card and refit say so."""

from __future__ import annotations

import json

import numpy as np
import pytest

from modelgpt_edge import build
from modelgpt_edge.commands.build_text import build_text
from modelgpt_edge.limits import Limits
from modelgpt_edge.manifest import CARD
from modelgpt_edge.refit import refit

TASK = "predict y from a and b"


def rows_of(count: int, seed: int = 0, classes: int = 2) -> list[dict]:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 2))
    labels = np.digitize(points[:, 0] * points[:, 1], np.linspace(-0.5, 0.5, classes - 1) if classes > 2 else [0])
    return [{"a": x, "b": y, "y": f"k{label}"} for (x, y), label in zip(points.tolist(), labels)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return build(TASK, rows_of(90), label="y", generator="trained", draws=1, out=tmp_path_factory.mktemp("t") / "t.edge")


def test_report_text_and_card_tell_that_it_was_asked_for_and_what_the_others_lose(trained):
    generator = trained.report["generator"]
    assert (generator["name"], generator["chosen_by"]) == ("trained", "user")
    assert set(generator["losses"]) == {"floor", "linear", "trained"}
    text = build_text(trained.report, ())
    for name, loss in generator["losses"].items():
        assert f"{loss:.4f}" in text, name
    best = min(generator["losses"], key=generator["losses"].get)
    warned = any("likelier than trained" in note for note in trained.report["notes"])
    assert warned == (best != "trained")
    card = (trained.path / CARD).read_text(encoding="utf-8")
    assert "corrected by a meta-trained transformer; nothing was trained on the table" in card


def test_a_package_of_it_predicts_and_is_refitted_as_what_it_is(trained, tmp_path):
    assert trained.load().predict([{"a": 1.5, "b": 1.5}, {"a": 1.5, "b": -1.5}]).tolist() == ["k1", "k0"]
    report = refit(trained.path, rows_of(90, seed=1), out=tmp_path / "r.edge").report
    assert report["generator"]["name"] == "trained"


def test_limits_that_leave_no_hidden_unit_are_told_as_the_reason(tmp_path):
    built = build(
        TASK, rows_of(60), label="y", generator="trained", draws=1, limits=Limits(flash_bytes=4_000), out=tmp_path / "l.edge"
    )
    generator = built.report["generator"]
    assert (generator["name"], generator["chosen_by"]) == ("linear", "limits")
    assert "the limits leave no hidden unit" in build_text(built.report, ())


@pytest.mark.parametrize("count", [2, 5, 12])
def test_tables_of_a_few_rows_are_left_uncorrected_or_corrected_without_a_crash(tmp_path, count):
    rows = [{"a": i, "b": i % 3, "y": f"k{i % 2}"} for i in range(count)]
    built = build(TASK, rows, label="y", generator="trained", draws=1, out=tmp_path / "few.edge")
    assert built.report["generator"]["name"] == "trained"


def test_what_it_does_not_know_is_refused_before_any_work(tmp_path, write_csv, cli):
    table = write_csv(tmp_path / "t.csv", [{"a": i % 7 + i / 50, "y": i * 1.5} for i in range(40)])
    ran = cli("build", "--task", "predict y", "--data", table, "--generator", "trained", "--out", tmp_path / "v.edge", "--json")
    assert ran.code == 1
    assert "2 to 10 classes" in ran.err
    assert "leave out --generator" in ran.err.lower()
    assert "scoring sizes" not in ran.err
    assert not (tmp_path / "v.edge").exists()


def test_json_tells_the_losses_of_the_default_too(tmp_path, write_csv, cli):
    table = write_csv(tmp_path / "t.csv", rows_of(60))
    ran = cli("build", "--task", TASK, "--data", table, "--label", "y", "--out", tmp_path / "d.edge", "--json")
    assert ran.code == 0, ran.err
    generator = json.loads(ran.out)["generator"]
    assert set(generator["losses"]) == {"floor", "linear"}
    assert generator["name"] == min(generator["losses"], key=generator["losses"].get)
