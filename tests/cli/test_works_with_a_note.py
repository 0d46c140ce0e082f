"""Odd tables that must work all the same, and what the user is told about them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelgpt_edge

pytestmark = pytest.mark.usefixtures("one_repeat", "few_sizes")

Row = dict[str, Any]
Odd = Callable[[list[Row], Path], tuple[list[str], list[str]]]


def _csv(path: Path, rows: list[Row], encoding: str = "utf-8", **dialect: Any) -> Path:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n", **dialect)
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding))
    return path


def _with(rows: list[Row], **columns: Callable[[int, Row], object]) -> list[Row]:
    return [{**row, **{name: make(i, row) for name, make in columns.items()}} for i, row in enumerate(rows)]


def _missing_columns(rows, path):
    _csv(path, _with(rows, void=lambda i, r: "", none=lambda i, r: "n/a"))
    return [], ["not used: void (every cell is missing)", "not used: none (every cell is missing)"]


def _infinite(rows, path):
    _csv(path, _with(rows, age=lambda i, r: {3: "inf", 7: "-inf"}.get(i, r["age"])))
    return [], ["Column age: 2 infinite cells."]


def _mixed(rows, path):
    _csv(path, _with(rows, grade=lambda i, r: i % 4 if i % 2 else "low", age=lambda i, r: "old" if i == 5 else r["age"]))
    return [], [
        "Column grade: 50% of the cells are numbers, others such as 'low' are not.",
        "Column age: 1 other cell such as 'old'",
    ]


def _utf16(rows, path):
    _csv(path, [{("größe" if k == "weight" else k): v for k, v in row.items()} for row in rows], "utf-16")
    return [], ["encoding utf-16", "größe"]


def _windows(rows, path):
    _csv(path, _with(rows, city=lambda i, r: "Göteborg" if r["city"] == "Oslo" else r["city"]), "cp1252")
    return [], ["not UTF-8: read as cp1252, a guess"]


def _seen_once(rows, path):
    _csv(path, _with(rows, outcome=lambda i, r: "unclear" if i == 0 else r["outcome"]))
    return [], ["Seen once only, so hardly learned: class unclear."]


def _many_categories(rows, path):
    draw = random.Random(1)
    many = [{**row, "shop": f"shop {draw.randrange(600)}"} for row in rows * 20]  # more are seen twice than are kept
    _csv(path, many)
    return [], ["2 of words"]


def _dates(rows, path):
    _csv(
        path,
        _with(rows, since=lambda i, r: f"{1 + i % 12:02}/{1 + i % 11:02}/2021", seen=lambda i, r: f"2022-03-{1 + i % 28:02}"),
    )
    return [], ["2 of dates", "Column since: every date reads day first and month first; taken as month first"]


def _booleans(rows, path):
    _csv(path, _with(rows, smoker=lambda i, r: i % 3 == 0, outcome=lambda i, r: r["outcome"] == "ill"))
    return [], ["Kind          classification: the label is booleans", "as false or true"]


def _excel(rows, path):
    german = _with(
        rows, age=lambda i, r: str(r["age"]).replace(".", ","), weight=lambda i, r: str(r["weight"]).replace(".", ",")
    )
    _csv(path, german, delimiter=";")
    return [], ["separator: semicolon", "2 of numbers"]


def _json_lines(rows, path):
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return [], ["2 of numbers, 1 of words"]


def _gzipped(rows, path):
    path.write_bytes(gzip.compress(_csv(path, rows).read_bytes()))
    return [], ["2 of numbers, 1 of words"]


def _parquet(rows, path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return [], ["2 of numbers, 1 of words"]


def _unlabelled(rows, path):
    _csv(path, _with(rows, outcome=lambda i, r: "" if i < 6 else r["outcome"]))
    return [], ["6 of 60 rows have no usable label and are left out"]


def _overruled_kind(rows, path):
    _csv(path, _with(rows, stars=lambda i, r: 1 + (r["age"] > 40) + (r["age"] > 60)))
    return ["--label", "stars", "--kind", "regression"], ["Kind          regression: --kind regression", "always the mean"]


def _test_file(rows, path):
    _csv(path, rows[:40])
    _csv(path.with_name("test.csv"), [*rows[40:], {**rows[0], "outcome": "never seen"}, {**rows[0], "outcome": ""}])
    return ["--test", str(path.with_name("test.csv"))], ["measured by the test table", "(21 rows)"]


def _several_targets(rows, path):
    _csv(path, rows)
    return ["--target", "x86", "--target", "jetson"], ["x86, jetson = jetson-orin-nano", "built, not run", "runs here"]


def _device_in_the_task(rows, path):
    _csv(path, rows)
    return ["--task", "predict the outcome on a Jetson AGX Orin in under 5 ms"], ["Targets       jetson-agx-orin"]


def _device_against_target(rows, path):
    _csv(path, rows)
    task = "predict the outcome on a Jetson AGX Orin"
    return ["--task", task, "--target", "x86"], ["The task names jetson-agx-orin, but --target asks for x86"]


def _two_rows(rows, path):
    ill, well = (next(r for r in rows if r["outcome"] == name) for name in ("ill", "well"))
    _csv(path, [ill, well])
    return [], ["Seen once only, so hardly learned: classes ill, well."]


CASES: dict[str, tuple[str, Odd]] = {
    function.__name__[1:].replace("_", " "): (name, function)
    for name, function in (
        ("table.csv", _missing_columns),
        ("table.csv", _infinite),
        ("table.csv", _mixed),
        ("table.csv", _utf16),
        ("table.csv", _windows),
        ("table.csv", _seen_once),
        ("table.csv", _many_categories),
        ("table.csv", _dates),
        ("table.csv", _booleans),
        ("table.csv", _excel),
        ("table.jsonl", _json_lines),
        ("table.csv.gz", _gzipped),
        ("table.parquet", _parquet),
        ("table.csv", _unlabelled),
        ("table.csv", _overruled_kind),
        ("table.csv", _test_file),
        ("table.csv", _several_targets),
        ("table.csv", _device_in_the_task),
        ("table.csv", _device_against_target),
        ("table.csv", _two_rows),
    )
}


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("case", CASES)
def test_an_odd_table_builds_with_a_note_and_predicts_its_own_rows(case, cli, patients, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, make = CASES[case]
    options, notes = make(patients, Path(name).absolute())
    task = [] if "--task" in options else ["--task", "predict the outcome"]
    ran = cli("build", *task, "--data", name, "--draws", "1", "--out", "model.edge", *options)
    assert ran.code == 0, ran.err
    assert [note for note in notes if note not in ran.out] == [], ran.out
    assert "Warning" not in ran.err
    assert cli("verify", "model.edge").code == 0

    elsewhere = case == "device in the task"  # no form of that package is for this machine, which loading it tells
    with warnings.catch_warnings():
        warnings.simplefilter("default" if elsewhere else "error", RuntimeWarning)
        predicted = cli("predict", "model.edge", name, "--json")
    assert predicted.code == 0, predicted.err
    assert ("warning: the package has no variant for this kind of machine" in predicted.err) == elsewhere
    values = json.loads(predicted.out)
    assert values
    assert all(np.isfinite(list(v["probabilities"].values()) if "label" in v else [v["value"]]).all() for v in values)


def test_two_hundred_classes_build(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [{"x": round(i % 200 + 0.01 * (i // 200), 2), "k": f"class {i % 200:03}"} for i in range(400)]
    _csv(Path("table.csv"), rows)
    ran = cli("build", "--task", "tell the class", "--data", "table.csv", "--label", "k", "--draws", "1")
    assert ran.code == 0, ran.err
    assert "one of 200 classes" in ran.out
    assert len(json.loads(cli("predict", "table.edge", "table.csv", "--json").out)[0]["probabilities"]) == 200


def test_two_thousand_columns_build_and_say_how_many_are_used(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    cells = draw.normal(size=(300, 2000)).round(2)
    label = np.where(cells[:, 7] + cells[:, 1600] > 0, "yes", "no")
    lines = [",".join(f"x{i}" for i in range(2000)) + ",y"]
    lines += [",".join(map(str, row)) + f",{name}" for row, name in zip(cells.tolist(), label)]
    Path("wide.csv").write_text("\n".join(lines), encoding="utf-8")
    ran = cli("build", "--task", "predict y", "--data", "wide.csv", "--draws", "1", "--target", "jetson", "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    used = [c["name"] for c in report["requirement"]["columns"] if c["used"]]
    assert 0 < len(used) < 2000
    assert {"x7", "x1600"} <= set(used)
    assert any(f"takes {len(used):,} of the 2,000 columns" in note for note in report["notes"])
    assert report["score"]["low"] > 0.55
    assert cli("predict", "wide.edge", "wide.csv").code == 0
    assert (Path("wide.edge") / "MODEL_CARD.md").stat().st_size < 20_000


@pytest.mark.parametrize(
    "name",
    [
        *("numbers", "codes", "encoded", "scores", "hidden", "dense_weight"),
        *("label", "probabilities"),
    ],
)
def test_a_column_may_be_called_as_the_model_calls_its_own_tensors(name, patients, tmp_path):
    rows = [{name if key == "age" else key: cell for key, cell in row.items()} for row in patients]
    built = modelgpt_edge.build("predict outcome", rows, label="outcome", out=tmp_path / "m.edge", draws=1, target="jetson")
    assert (built.load("model").predict(rows) == [row["outcome"] for row in rows]).mean() > 0.8


@pytest.mark.parametrize("name", ["x", "value"])
def test_a_column_of_a_regression_may_be_called_as_its_output(name, patients, tmp_path):
    rows = [{name: row["age"], "other": row["weight"], "price": 3 * row["age"] - row["weight"]} for row in patients]
    built = modelgpt_edge.build("predict price", rows, label="price", out=tmp_path / "m.edge", draws=1, target="jetson")
    np.testing.assert_allclose(built.load("model").predict(rows), [row["price"] for row in rows], rtol=0.1, atol=5)


@pytest.mark.parametrize("target", ["x86", "jetson"])
def test_a_label_that_nothing_tells_builds_all_the_same(target, patients, tmp_path):
    built = modelgpt_edge.build("predict weight", patients, label="weight", out=tmp_path / "m.edge", draws=1, target=target)
    assert built.report["score"]["value"] < 0.5
    assert np.isfinite(built.load().predict(patients)).all()


@pytest.mark.parametrize("days", [600, 6])
def test_a_label_of_dates_builds_and_predicts_days(days, patients, tmp_path):
    due = [np.datetime64("2021-03-01") + int(row["age"] / 80 * days) for row in patients]
    rows = [{"age": row["age"], "due": str(day)} for row, day in zip(patients, due)]
    built = modelgpt_edge.build("predict due", rows, label="due", out=tmp_path / "m.edge", draws=1)
    assert "The label is dates: what is predicted are days since 1970-01-01." in built.report["notes"]
    expected = np.array(due, "datetime64[D]").astype(float)
    np.testing.assert_allclose(built.load().predict(rows), expected, atol=days / 20)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_regression_on_three_rows_builds(tmp_path):
    rows = [{"area": 50.5, "price": 152_000.0}, {"area": 71.5, "price": 221_500.0}, {"area": 98.0, "price": 287_250.0}]
    built = modelgpt_edge.build("predict the price", rows, label="price", out=tmp_path / "m.edge", draws=1)
    assert built.report["score"]["low"] > -1e6


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_lone_column_of_words_that_hardly_repeat_builds(tmp_path):
    rows = [{"name": f"word {i % 9}", "result": "yes" if i % 2 else "no"} for i in range(10)]
    modelgpt_edge.build("predict the result", rows, label="result", out=tmp_path / "m.edge", draws=1)
