"""`build` of texts from the command line: classes alone, examples, both; options and devices."""

from __future__ import annotations

import json
from typing import Any

import pytest

import modelgpt_edge

KEYS = {"package", "requirement", "architecture", "generator", "score", "frontier", "variants", "checks", "seconds"}


def report_of(ran: Any) -> dict[str, Any]:
    assert ran.code == 0, ran.err
    report: dict[str, Any] = json.loads(ran.out)
    return report


def test_classes_alone(build, cli, tmp_path):
    report = report_of(build("--classes", "card lost,refund", "--class", "exchange rate: what a currency costs", "--json"))
    assert set(report) >= KEYS
    assert report["requirement"]["classes"] == ["card lost", "refund", "exchange rate"]
    assert report["requirement"]["meanings"] == {"exchange rate": "what a currency costs"}
    assert (report["requirement"]["modality"], report["requirement"]["kind"]) == ("text", "classification")
    assert report["generator"]["name"] == "words"
    assert (report["score"]["value"], report["score"]["low"], report["score"]["high"]) == (None, None, None)
    assert report["score"]["metric"] == "accuracy"
    assert report["frontier"] == []
    assert all(check["passed"] for check in report["checks"])
    assert any("Nothing was given to measure the model on" in note for note in report["notes"])
    card = (tmp_path / "m.edge" / "MODEL_CARD.md").read_text()
    assert "nothing is known of how good it is" in card
    assert "exchange rate: what a currency costs" in card
    assert cli("verify", tmp_path / "m.edge").code == 0


def test_what_people_read_of_classes_alone(build):
    ran = build("--classes", "card lost,refund")
    assert ran.code == 0
    for line in ("Classes       2: card lost, refund", "Generator     words (classes' names alone)", "x86 onnxruntime fp32"):
        assert line in ran.out
    assert "accuracy [95 %]" not in ran.out


def test_a_table_of_texts(build, table, tmp_path):
    report = report_of(build("--data", table, "--json"))
    assert report["requirement"]["classes"] == ["lost", "rate", "refund"]
    assert report["score"]["rows"] == 80
    assert 0.6 < report["score"]["low"] < report["score"]["value"] < report["score"]["high"] <= 1
    assert report["score"]["value"] > report["baseline"]["value"] + 0.2
    assert report["score"]["method"] == "5-fold cross-validation"
    assert set(report["generator"]["losses"]) == {"words", "linear", "floor"}
    assert report["generator"]["chosen_by"] == "guard"
    assert (tmp_path / "m.edge" / "report.svg").is_file()
    ran = build("--data", table, "--force")
    assert "accuracy [95 %]" in ran.out
    assert "examples without names" in ran.out


def test_the_same_build_gives_the_same_weights(build, table, tmp_path):
    contents = []
    for _ in range(2):
        assert build("--data", table, "--force", "--seed", "3").code == 0
        folder = tmp_path / "m.edge"
        contents.append([(folder / name).read_bytes() for name in ("head.safetensors", "model.onnx", "golden.safetensors")])
    assert contents[0] == contents[1]


def test_a_few_rows_and_a_class_that_none_has(build, write_csv, questions, tmp_path):
    table = write_csv(tmp_path / "few.csv", questions[:5])
    report = report_of(build("--data", table, "--classes", "rate,other things,lost,refund", "--json"))
    assert report["requirement"]["classes"] == ["rate", "other things", "lost", "refund"]
    assert report["generator"]["name"] == "floor"
    assert "No example of rate and other things: served by what the name says." in report["notes"]
    assert report["score"]["rows"] == 5


def test_a_class_that_is_called_none(build, cli, write_csv, questions, tmp_path):
    rows = [{**row, "label": "none" if row["label"] == "rate" else row["label"]} for row in questions]
    table = write_csv(tmp_path / "none.csv", rows)
    report = report_of(build("--data", table, "--test", table, "--json"))
    assert report["requirement"]["classes"] == ["lost", "none", "refund"]
    assert report["score"]["rows"] == len(questions)
    assert any(note.startswith("none is taken as a class") for note in report["notes"])
    predicted = json.loads(cli("predict", tmp_path / "m.edge", table, "--json").out)
    right = [one["label"] == row["label"] for one, row in zip(predicted, rows) if row["label"] == "none"]
    assert sum(right) > 0.9 * len(right)


def test_rows_without_text_or_label_are_left_out_and_counted(build, write_csv, questions, tmp_path):
    rows = [*questions, {"text": "", "label": "lost"}, {"text": "my card", "label": None}, questions[0]]
    report = report_of(build("--data", write_csv(tmp_path / "gaps.csv", rows), "--json"))
    assert "Left out for want of a text or a label: 2 rows." in report["notes"]
    assert any(note.startswith("Texts that stand more than once: 1 row;") for note in report["notes"])
    assert report["score"]["rows"] == 81
    assert report["requirement"]["sentence"].startswith("Classify each text as lost, rate or refund (81 examples)")


def test_a_test_table_is_what_the_score_is_of(build, table, write_csv, tmp_path):
    rows = [{"label": "lost", "text": "i lost my card"}, {"label": "rate", "text": "how many yen in a dollar"}]
    rows += [{"label": "never seen", "text": "the film was good"}]
    report = report_of(build("--data", table, "--test", write_csv(tmp_path / "t.csv", rows), "--json"))
    assert report["score"]["method"] == "the test table t.csv"
    assert report["score"]["rows"] == 3
    assert report["score"]["value"] == pytest.approx(2 / 3)
    assert report["linear"]["method"] == "5-fold cross-validation"
    told = "Test rows of a class that the model doesn't know: 1 of 3 rows (never seen). They count as wrong."
    assert told in report["notes"]


def test_test_rows_whose_class_is_known_are_not_told_of(build, table):
    assert not any("Test rows" in note for note in report_of(build("--data", table, "--test", table, "--json"))["notes"])


@pytest.mark.parametrize("generator", ["words", "linear", "floor"])
def test_the_generator_may_be_named(generator, build, table):
    report = report_of(build("--data", table, "--generator", generator, "--json"))
    assert (report["generator"]["name"], report["generator"]["chosen_by"]) == (generator, "user")


def test_a_jetson_gets_an_engines_form_and_one_for_its_processor(build, table):
    report = report_of(build("--data", table, "--target", "jetson", "--json"))
    kept = {(v["backend"], v["precision"]) for v in report["variants"] if v["kept"]}
    assert {("tensorrt", "fp16"), ("onnxruntime", "fp32")} <= kept
    tried = {v["precision"] for v in report["variants"] if v["backend"] == "tensorrt"}
    assert tried == {"fp16", "int8", "fp32"}
    assert all(v["status"] == "built, not run" for v in report["variants"])


@pytest.mark.parametrize("classes", ["a,b", ["a", "b"], {"a": "", "b": "what it means"}, {"a": None, "b": "what it means"}])
def test_classes_of_the_api(classes, tiny_encoder, tmp_path):
    built = modelgpt_edge.build("route", classes=classes, encoder=str(tiny_encoder), out=tmp_path / "m.edge")
    assert built.manifest.classes == ("a", "b")
    assert built.load().predict(["anything"]).tolist()[0] in ("a", "b")
