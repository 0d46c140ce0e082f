"""A package of texts in use: predictions from files and from Python, verify, inspect, profile, and what isn't for texts."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import modelgpt_edge
from modelgpt_edge.compile.package import sha256
from modelgpt_edge.errors import InputError, PackageError
from modelgpt_edge.manifest import MANIFEST, sealed
from modelgpt_edge.runtime.opening import open_package
from modelgpt_edge.runtime.text_model import TextModel

TEXTS = ["i lost my card", "", "how many yen in a dollar, please", 'my "money" back;\nnow', "\U0001f600 请问"]


@pytest.fixture(scope="module")
def model(text_package) -> TextModel:
    loaded = modelgpt_edge.load(text_package)
    assert isinstance(loaded, TextModel)
    return loaded


@pytest.fixture
def copied(text_package, tmp_path) -> Path:
    return Path(shutil.copytree(text_package, tmp_path / "copy.edge"))


def write(path: Path, columns: dict[str, list[Any]]) -> Path:
    """A CSV or JSONL file of columns."""
    rows = [dict(zip(columns, cells)) for cells in zip(*columns.values())]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
@pytest.mark.parametrize("columns", [{"text": TEXTS}, {"id": [1, 2, 3, 4, 5], "text": TEXTS, "label": ["a"] * 5}])
def test_predictions_of_a_file_are_those_of_its_strings(name, columns, cli, text_package, model, tmp_path):
    ran = cli("predict", text_package, write(tmp_path / name, columns), "--json")
    assert ran.code == 0
    got = json.loads(ran.out)
    wanted = model.predict_proba(TEXTS)
    assert [one["label"] for one in got] == model.predict(TEXTS).tolist()
    np.testing.assert_allclose([list(one["probabilities"].values()) for one in got], wanted, atol=1e-6)
    assert list(got[0]["probabilities"]) == ["lost", "rate", "refund"]
    assert "note: 1 text is empty" in ran.err


def test_predictions_as_csv(cli, text_package, model, tmp_path):
    ran = cli("predict", text_package, write(tmp_path / "rows.csv", {"text": TEXTS}))
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert [row["label"] for row in rows] == model.predict(TEXTS).tolist()
    np.testing.assert_allclose([float(row["p(rate)"]) for row in rows], model.predict_proba(TEXTS)[:, 1], rtol=1e-5)


def test_it_has_learned_its_task(model, questions):
    predicted = model.predict([row["text"] for row in questions])
    assert (predicted == [row["label"] for row in questions]).mean() > 0.95
    assert model.predict_proba("i lost my card").shape == (1, 3)
    np.testing.assert_allclose(model.predict_proba(TEXTS).sum(1), 1, atol=1e-5)


@pytest.mark.parametrize(
    "rows",
    [
        TEXTS,
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, object),
        pd.DataFrame({"text": TEXTS, "other": range(5)}),
        {"text": TEXTS},
        [{"text": text} for text in TEXTS],
        np.array(TEXTS, object)[:, None],
        [[text] for text in TEXTS],
        pd.Series(TEXTS),
    ],
    ids=lambda rows: type(rows).__name__,
)
def test_rows_in_any_form_are_the_same(rows, model):
    np.testing.assert_allclose(model.predict_proba(rows), model.predict_proba(list(TEXTS)), atol=1e-6)


def test_gaps_in_a_column_are_empty_texts(model):
    wanted = model.predict_proba(["i lost my card", "", ""])
    for rows in (["i lost my card", None, ""], pd.Series(["i lost my card", None, float("nan")])):
        np.testing.assert_allclose(model.predict_proba(rows), wanted, atol=1e-6)


def test_one_text(model):
    wanted = model.predict_proba(["i lost my card"])
    for row in ("i lost my card", {"text": "i lost my card"}, np.str_("i lost my card")):
        np.testing.assert_allclose(model.predict_proba(row), wanted, atol=1e-6)


def test_a_path_is_a_file_and_a_string_a_text(model, tmp_path):
    path = write(tmp_path / "rows.csv", {"text": TEXTS})
    assert len(model.predict(path)) == 5
    assert len(model.predict(str(path))) == 1


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_a_text_of_a_megabyte(name, cli, text_package, tmp_path):
    rows = write(tmp_path / name, {"text": ["i lost my card, " * 65_536, "x"], "id": [1, 2]})
    ran = cli("predict", text_package, rows, "--json")
    assert ran.code == 0, ran.err
    long, short = json.loads(ran.out)
    assert long["label"] == "lost"
    assert short["probabilities"] != long["probabilities"]


@pytest.mark.parametrize("rows", [[], pd.DataFrame({"text": []}), np.array([], object), {"text": []}])
def test_no_rows_are_refused(rows, model):
    with pytest.raises(InputError):
        model.predict(rows)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ({"txt": "x"}, "the model needs column 'text', and the table doesn't have it"),
        (pd.DataFrame({"label": ["a"]}), "the model needs column 'text'"),
        ([["a", "b"]], ""),
        (3, ""),
        ([3], "predict, row 1: a row is no text (seen: 3). Give strings, or rows with 'text'"),
        (["x", 3], "predict, row 2: a row is no text (seen: 3)"),
        (np.array([1.5, 2.5]), "predict, row 1: a row is no text"),
        ([None], "predict: there is no text in these rows"),
        (pd.Series([None, float("nan")]), "predict: there is no text in these rows"),
        (None, ""),
    ],
)
def test_rows_without_texts_are_refused(rows, says, model):
    with pytest.raises(InputError) as told:
        model.predict(rows)
    assert says in str(told.value)


def test_what_is_said_of_a_file_of_texts(cli, text_package, tmp_path):
    ran = cli("predict", text_package, write(tmp_path / "rows.csv", {"text": ["i lost my card", "x"]}))
    assert ran.err == ""  # one column is just what the model takes
    rows = tmp_path / "empty.jsonl"
    rows.write_text('{"text": ""}\n{"text": " "}\n{"text": "x"}\n')
    ran = cli("predict", text_package, rows)
    assert ran.err == "note: 2 texts are empty: the model says of them what it says of nothing\n"


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_control_characters_are_text(name, cli, text_package, model, tmp_path):
    texts = ["i lost\x07my card\x1b", "\x01\x02\x1f\x7f?", "how many\x0byen\x1c"]
    ran = cli("predict", text_package, write(tmp_path / name, {"text": texts}), "--json")
    assert ran.code == 0, ran.err
    got = [list(one["probabilities"].values()) for one in json.loads(ran.out)]
    np.testing.assert_allclose(got, model.predict_proba(texts), atol=1e-6)


def test_a_nul_is_text_but_in_a_csv_file(cli, text_package, model, tmp_path):
    text = "i lost\x00my card"
    ran = cli("predict", text_package, write(tmp_path / "rows.jsonl", {"text": [text]}), "--json")
    wanted = model.predict_proba([text])
    np.testing.assert_allclose([list(one["probabilities"].values()) for one in json.loads(ran.out)], wanted, atol=1e-6)
    rows = tmp_path / "rows.csv"
    rows.write_text(f"text\n{text}\n")
    ran = cli("predict", text_package, rows)
    assert ran.code == 1
    assert "this looks like binary data" in ran.err


def test_a_file_without_the_column_is_exit_1(cli, text_package, tmp_path):
    ran = cli("predict", text_package, write(tmp_path / "rows.csv", {"message": TEXTS}))
    assert ran.code == 1
    assert "the model needs column 'text'" in ran.err


@pytest.mark.parametrize("cell", [None, float("nan"), 12, 1.5, True, "none", "NA"])
def test_a_cell_of_any_kind_is_read_as_a_text(cell, model):
    text = "" if cell is None or cell != cell else str(cell)
    got = model.predict_proba(pd.DataFrame({"text": pd.Series([cell], dtype=object)}))
    np.testing.assert_allclose(got, model.predict_proba([text]), atol=1e-6)


@pytest.mark.parametrize("variant", ["model", "x86-onnxruntime-fp32", "jetson-orin-nano-onnxruntime-fp32"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_every_form_says_the_same(variant, text_package, model):
    other = modelgpt_edge.load(text_package, variant)
    np.testing.assert_allclose(other.predict_proba(TEXTS), model.predict_proba(TEXTS), atol=1e-5)


def test_verify_and_inspect(cli, text_package):
    ran = cli("verify", text_package, "--json")
    assert ran.code == 0
    forms = json.loads(ran.out)["hops"]
    assert [form["passed"] for form in forms] == [True] * len(forms)
    assert len(forms) == 1 + len(open_package(text_package).manifest.variants)
    shown = cli("inspect", text_package)
    assert "text    text  yes" in shown.out
    assert "one of 3 classes: lost, rate, refund" in shown.out
    assert json.loads(cli("inspect", text_package, "--json").out)["architecture"]["encoder"] == "tiny"


def test_a_damaged_tokenizer_is_the_packages_fault(cli, copied, tmp_path):
    (copied / "tokenizer.json").write_text("{}")
    ran = cli("predict", copied, write(tmp_path / "rows.csv", {"text": TEXTS}))
    assert ran.code == 1
    assert "tokenizer.json: a file of the package was changed or cut" in ran.err
    with pytest.raises(PackageError):
        modelgpt_edge.load(copied)


def test_a_tokenizer_that_is_vouched_for_and_none_is_told_of(copied):
    values = json.loads((copied / MANIFEST).read_text())
    for name in [name for name in values["files"] if name.endswith("tokenizer.json")]:
        (copied / name).write_text("{}")
        values["files"][name] = sha256(b"{}")
    (copied / MANIFEST).write_text(json.dumps(sealed(values)))
    with pytest.raises(PackageError, match="the tokenizer can't be read"):
        modelgpt_edge.load(copied, "model")
    with pytest.raises(PackageError, match="the tokenizer can't be read"), pytest.warns(RuntimeWarning, match="can't be used"):
        modelgpt_edge.load(copied)


def test_a_package_without_its_tokenizer_is_refused(copied):
    (copied / "tokenizer.json").unlink()
    with pytest.raises(PackageError, match=r"tokenizer\.json"):
        modelgpt_edge.load(copied)


def test_profile_measures_texts(cli, copied, tmp_path):
    rows = write(tmp_path / "rows.csv", {"text": TEXTS, "id": [1, 2, 3, 4, 5]})
    for options in ([], ["--rows", rows]):
        ran = cli("profile", copied, "--variant", "x86-onnxruntime-fp32", "--seconds", "0.2", "--json", *options)
        assert ran.code == 0, ran.err
        (measured,) = json.loads(ran.out)["variants"]
        assert measured["variant"] == "x86-onnxruntime-fp32"
        assert not measured["reason"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["refit", "--data", "rows.csv", "--force"], "models of texts can't be refitted yet"),
        (["embed", "--language", "python", "--out", "app"], "models of texts are in JavaScript alone so far"),
        (["embed", "--language", "c", "--out", "app"], "models of texts are in JavaScript alone so far"),
    ],
)
def test_what_is_for_tables_says_so(arguments, says, cli, copied, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "rows.csv", {"text": TEXTS, "label": ["lost"] * 5})
    ran = cli(arguments[0], copied, *arguments[1:])
    assert (ran.code, ran.out) == (1, "")
    assert says in ran.err
    assert ran.err.count("\n") == 1 or ran.err.splitlines()[-1].startswith("error: ")
    assert not (tmp_path / "app").exists()
