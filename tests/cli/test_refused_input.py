"""What build and predict refuse: the message says what, where, the value and the cure; exit 1; nothing is left behind."""

from __future__ import annotations

import gzip
import os
import random
from pathlib import Path

import pytest

GOOD = "age,city,outcome\n" + "".join(
    f"{20 + i},{'Rome' if i % 3 else 'Oslo'},{'ill' if i > 9 else 'well'}\n" for i in range(20)
)
NOISE = random.Random(1).randbytes(4096)

# Name and content of the file, further options, and words of the message: what is wrong, where, the value, the cure.
REFUSED = {
    "missing file": (None, None, [], ["table.csv", "no such file", "Did you mean 'tables.csv'"]),
    "missing folder": (None, None, ["--data", "nowhere/table.csv"], ["nowhere", "does not exist", "Check the path"]),
    "a folder": (None, None, ["--data", "."], ["a folder, not a table", "tables.csv"]),
    "empty file": ("table.csv", b"", [], ["table.csv", "is empty", "Give a table"]),
    "blank lines": ("table.csv", b"\n \n\n", [], ["table.csv", "is empty", "Give a table"]),
    "header only": ("table.csv", b"age,outcome\n", [], ["table.csv", "no data rows", "at least one row"]),
    "one row": ("table.csv", b"age,outcome\n41,ill\n", [], ["outcome", "only one row", "'ill'", "at least two rows"]),
    "one class": ("table.csv", b"age,outcome\n41,ill\n52,ill\n37,ill\n", [], ["outcome", "one class only", "'ill'", "--label"]),
    "no label at all": ("table.csv", b"age,outcome\n41,\n52,\n37,\n", [], ["outcome", "none of the 3 rows", "--label"]),
    "equal amounts": (
        "table.csv",
        b"age,cost\n41,5.5\n52,5.5\n37,5.5\n",
        ["--label", "cost", "--kind", "regression"],
        ["cost", "the same number", "'5.5'", "Add rows"],
    ),
    "no such label": ("table.csv", GOOD, ["--label", "outcom"], ["--label", "no column", "'outcom'", "Did you mean 'outcome'"]),
    "a label far off": ("table.csv", GOOD, ["--label", "zz"], ["--label", "'zz'", "Known: 'age', 'city', 'outcome'"]),
    "twin columns": (
        "table.csv",
        b"age,age,outcome\n1,2,ill\n3,4,well\n",
        [],
        ["table.csv", "more than once", "'age'", "1, 2"],
    ),
    "only ids": ("table.csv", b"id,outcome\n1,ill\n2,well\n3,ill\n", [], ["no column is left", "id", "Add columns"]),
    "random bytes": ("table.csv", NOISE, [], ["table.csv", "binary data", "Give a CSV"]),
    "random JSON": ("table.jsonl", NOISE, ["--data", "table.jsonl"], ["table.jsonl", "binary data", "Give a CSV"]),
    "random Parquet": ("table.parquet", NOISE, ["--data", "table.parquet"], ["table.parquet", "damaged", "Write it again"]),
    "a cut gzip": (
        "table.csv.gz",
        gzip.compress(GOOD.encode() * 50)[:-30],
        ["--data", "table.csv.gz"],
        ["table.csv.gz", "cut short", "Copy or pack it again"],
    ),
    "an Excel file": ("table.csv", b"PK\x03\x04" + NOISE, [], ["table.csv", "Excel", "Save it as CSV"]),
    "an open quote": ("table.csv", b'age,outcome\n41,"ill\n52,well\n', [], ["line 2", "quote", "Close it"]),
    "ragged rows": ("table.csv", b"age,outcome\n41,ill,x\n52,well,y,z\n1,2,3\n", [], ["line 2", "3 cells", "separator"]),
    "201 classes": (
        "table.csv",
        "x,k\n" + "".join(f"{i / 7:.2f},k{i % 201}\n" for i in range(603)),
        ["--label", "k"],
        ["201 classes", "200", "Group the classes"],
    ),
    "an unknown target": ("table.csv", GOOD, ["--target", "jetsn"], ["--target", "unknown target", "'jetsn'", "'jetson'"]),
    "an unknown kind": ("table.csv", GOOD, ["--kind", "clustering"], ["--kind", "unknown kind", "'clustering'", "regression"]),
    "amounts of words": ("table.csv", GOOD, ["--kind", "regression"], ["outcome", "needs numbers", "--kind classification"]),
    "three draws": ("table.csv", GOOD, ["--draws", "3"], ["--draws", "3", "1, 2 or 4"]),
    "draws in words": ("table.csv", GOOD, ["--draws", "many"], ["--draws", "'many'", "See: modelgpt-edge build --help"]),
    "a negative seed": ("table.csv", GOOD, ["--seed", "-1"], ["--seed", "negative", "-1", "0 or more"]),
    "a seed in words": ("table.csv", GOOD, ["--seed", "abc"], ["--seed", "'abc'", "See: modelgpt-edge build --help"]),
    "an unknown generator": (
        "table.csv",
        GOOD,
        ["--generator", "magic"],
        ["--generator", "'magic'", "floor, linear or trained"],
    ),
    "an empty task": ("table.csv", GOOD, ["--task", " "], ["--task", "empty", "Say what to predict"]),
    "no test file": ("table.csv", GOOD, ["--test", "later.csv"], ["later.csv", "no such file"]),
    "a test table without the label": (
        "table.csv",
        GOOD,
        ["--test", "tables.csv"],
        ["--test tables.csv", "no such column", "'age'"],
    ),
    "no name for the package": ("table.csv", GOOD, ["--out", ""], ["--out", "can't name a package", "heart.edge"]),
    "no folder for the package": ("table.csv", GOOD, ["--out", "a/b.edge"], ["--out", "doesn't exist", "mkdir -p"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_build_refuses_and_leaves_nothing_behind(case, cli, tmp_path, monkeypatch):
    name, content, options, words = REFUSED[case]
    monkeypatch.chdir(tmp_path)
    Path("tables.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    if name is not None:
        Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    before = sorted(os.listdir())

    ran = cli("build", "--task", "predict the outcome", "--data", "table.csv", "--out", "model.edge", *options)

    assert ran.code == 1, ran
    assert ran.out == ""
    message = ran.err.splitlines()[-1]
    assert message.startswith("error: ")
    assert [word for word in words if word not in message] == []
    assert "Traceback" not in ran.err
    assert "internal error" not in ran.err
    assert sorted(os.listdir()) == before


def test_a_limit_that_nothing_fits_is_exit_5_and_names_the_smallest(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("table.csv").write_text(GOOD, encoding="utf-8")
    ran = cli("build", "--task", "predict the outcome in 1 kB flash", "--data", "table.csv")
    assert ran.code == 5
    assert "the smallest, the plain linear model, needs x86: about " in ran.err
    assert "1,024 allowed" in ran.err
    assert os.listdir() == ["table.csv"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("age,outcome\n41,ill\n", ["rows.csv", "needs column 'weight'", "'city'", "seen: ['age', 'outcome']"]),
        ("Age,weight,city\n41,70,Rome\n", ["rows.csv", "needs column 'age'", "Did you mean 'Age'?"]),
        ("age,weight,city\n", ["rows.csv", "no data rows"]),
        ("", ["rows.csv", "is empty"]),
    ],
)
def test_predict_refuses_rows_that_it_cannot_read(rows, words, cli, package, tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text(rows, encoding="utf-8")
    ran = cli("predict", package, file, "--out", tmp_path / "out.csv")
    assert ran.code == 1
    assert [word for word in words if word not in ran.err] == []
    assert os.listdir(tmp_path) == ["rows.csv"]


@pytest.mark.parametrize("out", ["absent/out.csv", "folder", "rows.csv/out.csv", ""])
def test_predictions_that_cannot_be_written_name_the_path_given(out, cli, package, patients, write_csv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    rows = write_csv(Path("rows.csv"), patients)
    ran = cli("predict", package, rows, "--out", out)
    assert ran.code == 1
    assert "--out: the predictions can't be written" in ran.err
    assert out in ran.err
    assert sorted(os.listdir()) == ["folder", "rows.csv"]


def test_predict_refuses_an_unknown_variant_with_the_nearest(cli, package, patients, write_csv, tmp_path):
    rows = write_csv(tmp_path / "rows.csv", patients)
    ran = cli("predict", package, rows, "--variant", "jetson-orin-nano-tensorrt-fp32")
    assert ran.code == 1
    assert "no such variant (seen: 'jetson-orin-nano-tensorrt-fp32'). Did you mean 'jetson-orin-nano-tensorrt-fp16'" in ran.err
