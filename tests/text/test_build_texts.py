"""`build` of texts from the command line: classes alone, examples, both; options, devices and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import modelgpt_edge
from modelgpt_edge.errors import InputError
from modelgpt_edge.targets.tensorrt_rtx import building
from modelgpt_edge.targets.tensorrt_rtx.building import PACKAGE, PYTHON

KEYS = {"package", "requirement", "architecture", "generator", "score", "frontier", "variants", "checks", "seconds"}


@pytest.fixture
def build(cli, tiny_encoder, tmp_path) -> Any:
    """Runs `build` with the tiny encoder into a folder of this test."""

    def run(*options: str | Path) -> Any:
        return cli("build", "--task", "route questions", "--encoder", tiny_encoder, "--out", tmp_path / "m.edge", *options)

    return run


@pytest.fixture
def table(write_csv, questions, tmp_path) -> Path:
    path: Path = write_csv(tmp_path / "questions.csv", questions)
    return path


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


def test_a_test_table_is_what_the_score_is_of(build, table, write_csv, tmp_path):
    rows = [{"label": "lost", "text": "i lost my card"}, {"label": "rate", "text": "how many yen in a dollar"}]
    rows += [{"label": "never seen", "text": "the film was good"}]
    report = report_of(build("--data", table, "--test", write_csv(tmp_path / "t.csv", rows), "--json"))
    assert report["score"]["method"] == "the test table t.csv"
    assert report["score"]["rows"] == 3
    assert report["score"]["value"] == pytest.approx(2 / 3)
    assert report["linear"]["method"] == "5-fold cross-validation"


def test_a_test_table_needs_the_columns(build, table, write_csv, tmp_path):
    ran = build("--data", table, "--test", write_csv(tmp_path / "t.csv", [{"txt": "a b", "label": "lost"}]))
    assert ran.code == 1
    assert "the test table has no such column (seen: 'text')" in ran.err


@pytest.mark.parametrize("generator", ["words", "linear", "floor"])
def test_the_generator_may_be_named(generator, build, table):
    report = report_of(build("--data", table, "--generator", generator, "--json"))
    assert (report["generator"]["name"], report["generator"]["chosen_by"]) == (generator, "user")


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--generator", "trained"], 1, "there is no such generator (seen: 'trained'). Give words, linear, floor or lora"),
        (["--finetune", "5"], 1, "models of texts aren't fine-tuned"),
        (["--kind", "regression"], 1, "texts are classified, nothing else"),
        (["--text", "txt"], 1, "no column has this name (seen: 'txt')"),
        (["--label", "lable"], 1, "no column has this name"),
        (["--classes", "a,,b"], 1, "a class has no name"),
        (["--dry-run"], 1, "for texts and pictures a build tells what fits"),
        (["--server", "http://127.0.0.1:9"], 1, "another encoder is used here alone"),
        (["--target", "cortex-m4"], 4, "models of texts aren't compiled by it. Build for a target that has onnxruntime"),
        (["--backend", "native"], 4, "models of texts aren't compiled by it"),
        (["--max-flash", "1kB"], 5, "no variant for x86 fits the budget"),
        (["--target", "toaster"], 1, "toaster"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(options, code, says, build, table, tmp_path):
    ran = build("--data", table, *options)
    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err
    assert ran.err.count("error:") == 1
    assert not (tmp_path / "m.edge").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "there is nothing to make a model from"),
        (["--classes", "refund"], "Name 2 to 200 classes"),
        (["--classes", "a,b", "--label", "x"], "this option is about data, and there is none (seen: 'x')"),
        (["--classes", "a,b", "--text", "x"], "this option is about data, and there is none"),
        (["--classes", "a,b", "--generator", "linear"], "this generator needs examples"),
        (["--classes", "a,b", "--dry-run"], "--dry-run: sizes are weighed beforehand for tables alone"),
        (["--classes", "a,b", "--show-prompt"], "--show-prompt: the rules ask no model"),
        (["--classes", "a,b", "--server", "http://127.0.0.1:9"], "--encoder: another encoder is used here alone"),
        (["--classes", ",".join(f"class {i}" for i in range(201))], "Name 2 to 200 classes"),
    ],
)
def test_without_data_what_cannot_be_is_refused(options, says, build, tmp_path):
    ran = build(*options)
    assert ran.code == 1
    assert says in ran.err
    assert not (tmp_path / "m.edge").exists()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (shutil.rmtree, "there is no such encoder"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "lacks a file (seen: 'tokenizer.json')"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "t5"}'), "this encoder's architecture isn't known"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x"), "the encoder's weights can't be read"),
    ],
)
def test_an_encoder_that_cannot_be_used_is_told_of(spoil, says, cli, write_encoder, tmp_path):
    folder = write_encoder(tmp_path / "e")
    spoil(folder)
    ran = cli("build", "--task", "route", "--classes", "a,b", "--encoder", folder, "--out", tmp_path / "m.edge")
    assert ran.code == 1
    assert says in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("options", [["--classes", "a,b"], ["--encoder", "anything"]])
def test_options_of_texts_are_refused_for_a_table(options, cli, patients, write_csv, tmp_path):
    table = write_csv(tmp_path / "patients.csv", patients)
    ran = cli("build", "--task", "predict the outcome", "--data", table, "--out", tmp_path / "m.edge", *options)
    assert ran.code == 1
    assert f"{options[0]}: this data is a table, and the option is for texts" in ran.err


def test_a_jetson_gets_an_engines_form_and_one_for_its_processor(build, table):
    report = report_of(build("--data", table, "--target", "jetson", "--json"))
    kept = {(v["backend"], v["precision"]) for v in report["variants"] if v["kept"]}
    assert {("tensorrt", "fp16"), ("onnxruntime", "fp32")} <= kept
    tried = {v["precision"] for v in report["variants"] if v["backend"] == "tensorrt"}
    assert tried == {"fp16", "int8", "fp32"}
    assert all(v["status"] == "built, not run" for v in report["variants"])


def test_a_pc_without_tensorrt_rtx_says_so_before_any_work(build, table, monkeypatch):
    monkeypatch.delenv(PYTHON, raising=False)
    monkeypatch.setattr(building, "find_spec", lambda name: None)
    monkeypatch.setattr("modelgpt_edge.text_pipeline.read_examples", None)
    ran = build("--data", table, "--target", "rtx")
    assert ran.code == 4
    assert f"pip install {PACKAGE}" in ran.err


@pytest.mark.parametrize("classes", ["a,b", ["a", "b"], {"a": "", "b": "what it means"}])
def test_classes_of_the_api(classes, tiny_encoder, tmp_path):
    built = modelgpt_edge.build("route", classes=classes, encoder=str(tiny_encoder), out=tmp_path / "m.edge")
    assert built.manifest.classes == ("a", "b")
    assert built.load().predict(["anything"]).tolist()[0] in ("a", "b")


def test_labels_that_are_all_gaps_are_told_of(tiny_encoder, tmp_path, questions):
    rows = [{"text": row["text"], "label": None} for row in questions]
    with pytest.raises(InputError):
        modelgpt_edge.build("route", rows, text="text", classes=["a", "b"], encoder=str(tiny_encoder), out=tmp_path / "m.edge")
