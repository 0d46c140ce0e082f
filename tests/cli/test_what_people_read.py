"""What a build prints and writes for people: true, safe to print whatever the names, and readable."""

from __future__ import annotations

import json
import random
from pathlib import Path
from xml.etree import ElementTree

import pytest

import modelgpt_edge
from modelgpt_edge.commands.printing import named_lines
from modelgpt_edge.manifest import CARD, REPORT
from modelgpt_edge.requirement.wording import counted, figure, interval, share

HOSTILE = ["\x1b[31mred\x07", "we|ird *name* [x](http://y) <b>", "two\nlines", "名前\u202e", "a,b;c\t'd' \"e\"", "x" * 300]


def _hostile_table() -> list[dict[str, object]]:
    draw = random.Random(2)
    rows: list[dict[str, object]] = []
    for _ in range(60):
        row: dict[str, object] = {name: draw.gauss(0, 1) for name in HOSTILE}
        rows.append({**row, "always": 1, "result": "yes | \x1b[1mno" if float(str(row[HOSTILE[0]])) > 0 else "no <script>"})
    return rows


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> modelgpt_edge.pipeline.Built:
    out = tmp_path_factory.mktemp("hostile") / "hostile.edge"
    return modelgpt_edge.build("predict the result", _hostile_table(), label="result", out=out, draws=1)


def test_names_from_the_file_cannot_steer_the_terminal(hostile, cli):
    from modelgpt_edge.commands.build_text import build_text

    for text in (build_text(hostile.report, ()), cli("inspect", hostile.path).out, cli("verify", hostile.path).out):
        assert not [c for c in text if ord(c) < 32 and c != "\n"]
        assert "\u202e" not in text


def test_the_card_is_markdown_whose_tables_no_name_breaks(hostile):
    card = (hostile.path / CARD).read_text(encoding="utf-8")
    assert not [c for c in card if ord(c) < 32 and c != "\n"]
    assert "<script>" not in card.replace("\\<", "")
    tables = [line.replace("\\|", "") for line in card.splitlines() if line.startswith("|")]
    columns = tables[tables.index("| column | type | why |") :]
    assert {line.count("|") for line in columns[: 2 + len(HOSTILE)]} == {4}
    assert "* always: constant: every cell is '1'" in card


def test_the_picture_is_xml_without_the_names_markup(hostile):
    picture = (hostile.path / REPORT).read_text(encoding="utf-8")
    root = ElementTree.fromstring(picture)
    assert root.tag.endswith("svg")
    texts = ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("text")]
    assert any("no <script>" in text for text in texts)


def test_hostile_rows_are_predicted_by_every_form(hostile):
    rows = _hostile_table()
    expected = [row["result"] for row in rows]
    for name in (*(v.name for v in hostile.manifest.variants), "model"):
        predicted = hostile.load(name).predict(rows)
        assert sum(a == b for a, b in zip(predicted, expected)) > 50


def test_build_tells_what_it_understood_and_where_the_package_lies(cli, patients, write_csv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [{**row, "patient_id": i, "void": None, "outcome": row["outcome"]} for i, row in enumerate(patients)]
    write_csv(Path("table.csv"), rows)
    ran = cli("build", "--task", "predict the outcome", "--data", "table.csv", "--target", "jetson", "--out", "my model.edge")
    assert ran.code == 0, ran.err
    for words in (
        "Requirement   Classify each row by outcome as ill or well",
        "Label         outcome: the task's text asks for it",
        "Kind          classification: the label is words",
        "3 used: 2 of numbers, 1 of words",
        "not used: patient_id (an id",
        "not used: void (every cell is missing)",
        "jetson = jetson-orin-nano",
        "this model ",
        "plain linear model ",
        "always the commonest class",
        "cross-validation",
        "built, not run",
        "match the fp32 reference",
        "Package       my model.edge in ",
        "modelgpt-edge predict 'my model.edge' ROWS.csv",
    ):
        assert words in ran.out or words.replace(" by outcome", "") in ran.out, words


@pytest.mark.usefixtures("few_sizes")
def test_columns_that_the_task_names_are_told_everywhere(cli, patients, write_csv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv(Path("table.csv"), patients)
    names = [name for name in patients[0] if name != "outcome"]
    told = f"Named         {names[0]}, {names[2]}: named in the task"
    task = f"predict the outcome from {names[0]} and {names[2]}, not from {names[1]}"
    ran = cli("build", "--task", task, "--data", "table.csv", "--force")
    assert told in ran.out
    assert told in cli("inspect", "table.edge").out
    assert f"The task names {names[0]}, {names[2]}:" in (tmp_path / "table.edge" / CARD).read_text(encoding="utf-8")
    columns = json.loads(cli("inspect", "table.edge", "--json").out)["requirement"]["schema"]["columns"]
    assert [c["named"] for c in columns] == [True, False, True]
    reported = json.loads(cli("build", "--task", task, "--data", "table.csv", "--force", "--json").out)
    assert [c["named"] for c in reported["requirement"]["columns"]] == [True, False, True]


@pytest.mark.usefixtures("few_sizes")
def test_nothing_is_said_of_names_where_the_task_names_none(cli, patients, write_csv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv(Path("table.csv"), patients)
    assert "Named " not in cli("build", "--task", "predict the outcome", "--data", "table.csv", "--force").out
    assert "Named " not in cli("inspect", "table.edge").out
    assert "task names" not in (tmp_path / "table.edge" / CARD).read_text(encoding="utf-8")


def test_of_many_named_columns_the_first_are_shown_safely():
    names = ["a\x1b[31m\nb", *(f"column {i}" for i in range(20))]
    (line,) = named_lines(names)
    assert line.isprintable()
    assert "column 6 and 13 more:" in line
    assert "column 7" not in line


@pytest.mark.usefixtures("few_sizes")
def test_an_overruled_guard_is_not_claimed_to_have_chosen(cli, patients, write_csv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv(Path("table.csv"), patients)
    for name in ("linear", "floor"):
        ran = cli(*("build", "--task", "predict the outcome", "--data", "table.csv", "--force"), "--generator", name)
        assert f"Generator     {name}, in " in ran.out
        assert "as --generator asks" in ran.out
        assert "the user asked for it" in (tmp_path / "table.edge" / CARD).read_text(encoding="utf-8")


def test_figures_for_people():
    assert [figure(v) for v in (0, 0.5, 12.3456, 15707.4, 0.000123, -8e12)] == [
        "0.000",
        "0.500",
        "12.346",
        "15,707",
        "0.000123",
        "-8e+12",
    ]
    assert [share(v) for v in (1, -0.00001, -3e300)] == ["1.000", "0.000", "-3e+300"]
    assert interval({"value": 0.8251, "low": 0.7, "high": 0.9}) == "0.825 [0.700, 0.900]"
    assert [counted(n, "row") for n in (1, 2, 2000)] == ["1 row", "2 rows", "2,000 rows"]
