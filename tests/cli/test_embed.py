"""`embed` without a compiler: what it writes, what it refuses, and names that no language takes as they are."""

from __future__ import annotations

import ast
import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import modelgpt_edge
from modelgpt_edge.child import Child, Encoder, Units
from modelgpt_edge.embed import writing
from modelgpt_edge.embed.app import LANGUAGES, embed
from modelgpt_edge.embed.c_app import row_header, row_source
from modelgpt_edge.embed.columns import RESERVED, app_columns, identifiers
from modelgpt_edge.embed.filling import fill
from modelgpt_edge.embed.readme import readme
from modelgpt_edge.errors import InputError
from modelgpt_edge.schema import Column

NASTY = ("int", "x y", "x-y", "x_y", "名前", "1st", "Größe", "*/ #include <evil> /*", "a\\", "??/", '"q"', "@NAME@", "a|b`c")


@pytest.fixture(scope="module")
def x86_package(tmp_path_factory, patients) -> Path:
    out = tmp_path_factory.mktemp("packages") / "patients.edge"
    return modelgpt_edge.build("predict the outcome", patients, out=out, draws=1, target="x86").path


def test_each_language_is_a_folder_with_a_readme_an_example_and_one_row(cli, x86_package, tmp_path):
    for language, begin in (("python", "app.py"), ("c", "main.c"), ("cpp", "main.cpp"), ("javascript", "index.html")):
        out = tmp_path / language
        ran = cli("embed", x86_package, "--language", language, "--out", out)
        assert ran.code == 0, ran.err
        names = {p.name for p in out.iterdir()}
        assert {begin, "README.md", "example.csv", "made_from.json"} <= names
        assert any(name.startswith("one_row.") for name in names)
        text = (out / "README.md").read_text(encoding="utf-8")
        commands = text.split("```")[1].splitlines()[1:]
        assert all(f"  {command}\n" in ran.out for command in commands)
        with (out / "example.csv").open(encoding="utf-8", newline="") as file:
            header, row = csv.reader(file)
        assert set(header) == {"age", "weight", "city"}
        assert set(row) & {"Rome", "Paris", "Oslo"}


def test_json_tells_what_was_written(cli, x86_package, tmp_path):
    ran = cli("embed", x86_package, "--language", "JS", "--out", tmp_path / "app", "--json")
    values = json.loads(ran.out)
    assert values["language"] == "javascript"
    assert values["variant"] == "x86-onnxruntime-fp32"
    assert values["bytes"] == sum(p.stat().st_size for p in (tmp_path / "app").rglob("*") if p.is_file())
    assert "model.mjs" in values["files"]


def test_the_python_app_holds_the_package_and_the_variant_asked_for(x86_package, tmp_path):
    folder = embed(x86_package, "python", tmp_path / "app", variant="x86-onnxruntime-fp32").path
    modelgpt_edge.load(folder / "model.edge")
    for name in ("app.py", "one_row.py"):
        source = (folder / name).read_text(encoding="utf-8")
        ast.parse(source)
        assert "'x86-onnxruntime-fp32'" in source


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--language", "pyton"), "there are no apps in this language (seen: 'pyton'). Did you mean 'python'?"),
        (("--language", "rust"), "Known: 'c', 'cpp', 'javascript', 'python'."),
        (("--language", "c", "--variant", "x86-native-fp23"), "Did you mean 'x86-native-fp32'"),
        (("--language", "c", "--variant", "x86-onnxruntime-fp32"), "this variant is no C source"),
        (("--language", "javascript", "--variant", "x86-native-fp32"), "onnxruntime-web doesn't run this variant"),
    ],
)
def test_what_can_not_be_written_is_refused_with_the_cure(cli, x86_package, tmp_path, arguments, message):
    ran = cli("embed", x86_package, *arguments, "--out", tmp_path / "app")
    assert ran.code == 1
    assert message in ran.err
    assert ran.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_damaged_package_is_refused_and_nothing_is_written(cli, x86_package, tmp_path):
    broken = tmp_path / "broken.edge"
    shutil.copytree(x86_package, broken)
    path = broken / "child.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    ran = cli("embed", broken, "--language", "c", "--out", tmp_path / "app")
    assert ran.code == 1
    assert "its checksum differs" in ran.err
    assert not (tmp_path / "app").exists()
    ran = cli("embed", tmp_path / "none.edge", "--language", "c", "--out", tmp_path / "app")
    assert (ran.code, "there is no such package" in ran.err) == (1, True)


def test_only_an_app_is_replaced_and_only_when_asked(cli, x86_package, tmp_path):
    out, mine = tmp_path / "app", tmp_path / "mine"
    assert cli("embed", x86_package, "--language", "c", "--out", out).code == 0
    again = cli("embed", x86_package, "--language", "cpp", "--out", out)
    assert (again.code, "this path exists already" in again.err) == (1, True)
    assert cli("embed", x86_package, "--language", "cpp", "--out", out, "--force").code == 0
    assert (out / "main.cpp").is_file()
    assert not (out / "main.c").exists()
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work", encoding="utf-8")
    refused = cli("embed", x86_package, "--language", "c", "--out", mine, "--force")
    assert (refused.code, "--force only replaces apps" in refused.err) == (1, True)
    assert (mine / "thesis.txt").is_file()
    absent = cli("embed", x86_package, "--language", "c", "--out", tmp_path / "no" / "app")
    assert (absent.code, "mkdir -p" in absent.err) == (1, True)


def test_an_app_that_can_not_be_written_leaves_the_old_one(monkeypatch, x86_package, tmp_path):
    out = embed(x86_package, "c", tmp_path / "app").path
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    written = []

    def full(path: Path, content: bytes) -> int:
        written.append(path)
        if len(written) > 3:
            raise OSError(28, "No space left on device")
        return 0

    monkeypatch.setattr(writing.Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"nothing was left behind .*No space left"):
        embed(x86_package, "cpp", out, force=True)
    assert [p.name for p in tmp_path.iterdir()] == ["app"]
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before


def test_identifiers_are_those_of_every_language_and_each_its_own():
    names = (*NASTY, "Class", "_x", "", "x y ", "COLUMN_3")
    made = identifiers(names)
    assert list(made) == list(dict.fromkeys(names))
    assert len(set(made.values())) == len(made)
    for identifier in made.values():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", identifier)
        assert identifier not in RESERVED
    assert (made["Größe"], made["int"], made["x y"], made["x-y"]) == ("grosse", "column_int", "x_y", "x_y_2")


def _child(names: tuple[str, ...]) -> Child:
    """A linear model over numbers of these names, and a word column whose words are the same names."""
    f, i, count = np.float32, np.int32, len(names)
    encoder = Encoder(
        numbers=names,
        words=("word */ ??/",),
        vocabularies=(names,),
        wave_column=np.zeros(0, i),
        wave_frequency=np.zeros(0, f),
        wave_phase=np.zeros(0, f),
        median=np.zeros(count, f),
        center=np.zeros(count, f),
        scale=np.ones(count, f),
        rank_column=np.zeros(0, i),
        rank_knots=np.zeros((0, 2), f),
        rank_values=np.zeros((0, 2), f),
        flag_column=np.zeros(0, i),
    )
    return Child(encoder, Units.none(encoder.width), np.zeros((encoder.width, 2), f), np.zeros(2, f), ("*/", 'a,"b"'))


def test_no_name_ends_a_comment_or_a_string_of_the_c_sources():
    child = _child(NASTY)
    columns = app_columns(child, [*(Column(n, "number") for n in NASTY), Column("word */ ??/", "category")])
    text = row_header(child, columns, "a sentence */ int evil; /*") + row_source(child, columns)
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    code = re.sub(r'"(?:[^"\\]|\\.)*"', '""', code)
    assert "int evil" not in code
    assert "<evil>" not in code
    assert '"' not in code.replace('""', "").replace('extern "C"', "")
    assert "??" not in text.replace("? ?", "")
    assert not re.search(r"\\\s*\n", text)


def test_no_name_breaks_the_readmes_table():
    child = _child(NASTY)
    columns = app_columns(child, [*(Column(n, "number") for n in NASTY), Column("word */ ??/", "category")])
    for language in LANGUAGES:
        lines = readme(language, "a <b>sentence</b>\n# of two lines", child, columns).splitlines()
        table = [line for line in lines if line.startswith("|")]
        assert len(table) == 2 + len(columns)
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {5}
        assert lines[0].startswith("# a ")
        assert "<b>" not in lines[0].replace("\\<", "")


def test_a_value_that_looks_like_a_templates_name_stays_as_it_is():
    assert fill("@ONE@ @TWO@ me@home", {"ONE": "@TWO@", "TWO": "2"}) == "@TWO@ 2 me@home"
    with pytest.raises(KeyError):
        fill("@OTHER@", {})
