"""What `build` of texts refuses: options and data that don't fit together, devices that take no texts, no encoder."""

from __future__ import annotations

import shutil

import pytest

import modelgpt_edge
from modelgpt_edge.errors import InputError
from modelgpt_edge.targets.tensorrt_rtx import building
from modelgpt_edge.targets.tensorrt_rtx.building import PACKAGE, PYTHON


def test_a_test_table_of_other_classes_is_refused(build, write_csv, tmp_path):
    rows = [{"label": label, "text": "i lost my card"} for label in ("card lost", "exchange", "exchange")]
    ran = build("--classes", "a,b", "--test", write_csv(tmp_path / "t.csv", rows))
    assert ran.code == 1
    assert "t.csv, column label: no test row is of a class that the model knows (seen: 'card lost')" in ran.err
    assert "The model's are a and b" in ran.err
    assert not (tmp_path / "m.edge").exists()


def test_a_test_table_needs_the_columns(build, table, write_csv, tmp_path):
    ran = build("--data", table, "--test", write_csv(tmp_path / "t.csv", [{"txt": "a b", "label": "lost"}]))
    assert ran.code == 1
    assert "the test table has no such column (seen: 'text')" in ran.err


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
        (["--target", "cortex-m4"], 4, "target cortex-m4: models of texts don't run there yet (Arm Cortex-M4 microcontroller)"),
        (
            ["--backend", "native"],
            4,
            "--backend: this backend takes no models of texts (seen: 'native'). Leave it out",
        ),
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
    ("rows", "options", "says"),
    [
        ([{"text": f"the card is lost, case {i}"} for i in range(30)], [], "these texts have no labels"),
        ([{"text": f"the card is lost, case {i}"} for i in range(30)], ["--classes", "a,b"], "these texts have no labels"),
        (
            [{"text": f"the card is lost {i}", "price": i + 0.5} for i in range(30)],
            ["--text", "text"],
            "label column price: models of texts tell classes, and this label is amounts (seen: '0.5')",
        ),
    ],
)
def test_data_without_classes_is_told_of(rows, options, says, cli, write_csv, tmp_path):
    table = write_csv(tmp_path / "rows.csv", rows)
    ran = cli("build", "--task", "route questions", "--data", table, "--out", tmp_path / "m.edge", *options)
    assert ran.code == 1
    assert says in ran.err
    assert ("--classes" in ran.err) is ("no labels" in says)


def test_texts_without_labels_are_not_taken_for_pictures(build, write_csv, tmp_path):
    table = write_csv(tmp_path / "rows.csv", [{"text": "the card is lost"}, {"text": "the money is due"}])
    ran = build("--classes", "a,b", "--unlabelled", table)
    assert ran.code == 1
    assert "--unlabelled: this option is for pictures" in ran.err


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


def test_a_pc_without_tensorrt_rtx_says_so_before_any_work(build, table, monkeypatch):
    monkeypatch.delenv(PYTHON, raising=False)
    monkeypatch.setattr(building, "find_spec", lambda name: None)
    monkeypatch.setattr("modelgpt_edge.text_pipeline.read_examples", None)
    ran = build("--data", table, "--target", "rtx")
    assert ran.code == 4
    assert f"pip install {PACKAGE}" in ran.err


@pytest.mark.parametrize(
    "options", [["--target", "cortex-m55"], ["--target", "x86", "--target", "cortex-m4"], ["--backend", "native"]]
)
def test_what_takes_no_texts_is_told_before_any_work(options, build, table, monkeypatch):
    monkeypatch.setattr("modelgpt_edge.text_pipeline.find_teacher", None)
    monkeypatch.setattr("modelgpt_edge.text_pipeline.in_own_words", None)
    ran = build("--data", table, *options)
    assert ran.code == 4
    assert "models of texts" in ran.err
    assert "don't run there yet" in ran.err or "Leave it out, or give onnxruntime" in ran.err


def test_a_device_that_the_task_names_is_told_of_too(cli, table, tmp_path):
    ran = cli("build", "--task", "route questions on a cortex-m4", "--data", table, "--out", tmp_path / "m.edge")
    assert ran.code == 4
    assert "target cortex-m4: models of texts don't run there yet" in ran.err
    assert "Build for another target: x86, raspberry-pi-5" in ran.err
    assert "cortex-m7" not in ran.err


def test_a_meaning_is_words(tiny_encoder, tmp_path):
    with pytest.raises(InputError, match=r"classes, a: what a class means is no text \(seen: 1\)"):
        modelgpt_edge.build("route", classes={"a": 1, "b": ""}, encoder=str(tiny_encoder), out=tmp_path / "m.edge")


def test_labels_that_are_all_gaps_are_told_of(tiny_encoder, tmp_path, questions):
    rows = [{"text": row["text"], "label": None} for row in questions]
    with pytest.raises(InputError):
        modelgpt_edge.build("route", rows, text="text", classes=["a", "b"], encoder=str(tiny_encoder), out=tmp_path / "m.edge")
