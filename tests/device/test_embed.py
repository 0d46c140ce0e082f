"""Apps that `embed` writes: compiled where the language is, run on rows as people spell them, and held against `predict`."""

from __future__ import annotations

import csv
import io
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelgpt_edge
import modelgpt_edge.embed
from modelgpt_edge.embed.app import LANGUAGES, embed
from modelgpt_edge.targets.browser.chrome import visit
from modelgpt_edge.targets.browser.emulator import Chromium
from modelgpt_edge.targets.browser.library import FILES, library_folder
from modelgpt_edge.targets.browser.server import serve

pytestmark = pytest.mark.device
Row = dict[str, Any]
# Names that no language takes as they are, and some that look like one another once they are made to fit.
NASTY = (
    'blood "pressure" [mm/Hg]', "int", "Größe (cm)", "名前", "a\\b ??/ */", "class", "x y", "x-y", "x_y", "__proto__",
    "two\nlines", "1st", "it's", "@NAME@", "p %d %s", "</script>",
)  # fmt: skip


def _nasty(draw: random.Random) -> Row:
    """Three classes with names that CSV must quote, over columns of nasty names, a date and words that hold anything."""
    row: Row = {name: round(draw.gauss(0, 3), 3) for name in NASTY}
    day = date(1999, 1, 1) + timedelta(draw.randrange(9000))
    row |= {"seen": day.isoformat(), "city": draw.choice(["Rome", 'O"slo', "São Paulo, SP", "a\\b??/", "$HOME", "*/"])}
    total = row["int"] + row["x y"] + 4 * (row["city"] == "*/") + (day.month > 6)
    row["result"] = 'yes, "very"' if total > 2 else "no" if total < -2 else "50 %"
    return {**row, "int": None if draw.random() < 0.1 else row["int"], "city": row["city"] if draw.random() > 0.05 else None}


def _european(draw: random.Random) -> Row:
    """A value over decimal commas, dates as Germans write them, booleans, and words that look like numbers."""
    price, day = draw.uniform(1, 3000), date(2015, 1, 1) + timedelta(draw.randrange(3000))
    row = {"Preis": f"{price:.2f}".replace(".", ","), "Tag": f"{day:%d.%m.%Y}", "neu": draw.choice(["True", "False"])}
    row["Güte"] = draw.choice(["1", "2", "A"])
    value = price * (2 if row["Güte"] == "2" else 1) + 500 * (row["neu"] == "True") + 300 * (day.month < 4)
    return {**row, "Preis": row["Preis"] if draw.random() > 0.1 else "", "Wert": round(value, 1)}


def _words(draw: random.Random) -> Row:
    """Words alone."""
    row = {"color": draw.choice(["red", "green", "blue"]), "size": draw.choice(["S", "M", "L", "XL"])}
    return {**row, "sold": "yes" if (row["color"] == "red") ^ (row["size"] == "L") else "no"}


def _numbers(draw: random.Random) -> Row:
    """Numbers alone."""
    row = {name: round(draw.gauss(50, 10), 2) for name in ("a", "b", "c")}
    return {**row, "y": row["a"] * 2 - row["b"]}


TABLES: dict[str, tuple[Callable[[random.Random], Row], str]] = {
    "nasty": (_nasty, "result"),
    "european": (_european, "Wert"),
    "words": (_words, "sold"),
    "numbers": (_numbers, "y"),
}


def _rows(table: str, count: int, seed: int) -> list[Row]:
    draw = random.Random(seed)
    return [TABLES[table][0](draw) for _ in range(count)]


@pytest.fixture(scope="module", params=list(TABLES))
def table(request) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def package(table, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("packages") / f"{table}.edge"
    rows = _rows(table, 150, 1)
    return modelgpt_edge.build("predict it", rows, label=TABLES[table][1], out=out, draws=1, target="x86").path


@pytest.fixture(scope="module")
def rows_file(table, tmp_path_factory) -> Path:
    """New rows as a spreadsheet may write them: a byte order mark, CRLF, columns in another order, cells of many spellings."""
    rows = _rows(table, 30, 2)
    if table == "nasty":
        rows[0] |= {"int": "1,234.5", "city": "Atlantis", "seen": "2021-05-06T23:30:00-05:00"}
        rows[1] |= {"int": " -3.5e-1 ", "city": " Rome ", "seen": ""}
        rows[2] |= {"int": "n/a", "city": "?", "seen": "2021-02-30"}
        rows[3] |= {"int": "-$3", "x y": "12 %", "seen": "2021-05-06 11:59 PM"}
        rows[4] |= {"int": "no number", "x y": "\u22124", "seen": "20210506T1200Z"}
        rows[5] |= {"int": "inf", "x y": "-Infinity", "seen": "2021-05"}
    if table == "european":
        rows[0] |= {"Preis": "1.234,5", "Tag": "2021-03-01", "neu": "true", "Güte": "2.0"}
        rows[1] |= {"Preis": "1'234,5", "Tag": "1.3.2021 14:30", "neu": "FALSE", "Güte": " 1 "}
        rows[2] |= {"Preis": "€ 12", "Tag": "31.2.2021", "neu": "", "Güte": "007"}
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    names = ["note", *list(rows[0])[::-1]]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, names, quoting=csv.QUOTE_MINIMAL, lineterminator="\r\n")
        writer.writeheader()
        for i, row in enumerate(rows):
            writer.writerow({**row, "note": 'a "note", of\ntwo lines' if i % 3 else ""})
            file.write("\r\n" if i == 7 else "")
    return path


@pytest.fixture(scope="module")
def predicted(package, rows_file, cli) -> str:
    ran = cli("predict", package, rows_file, "--variant", "model")
    assert ran.code == 0, ran.err
    return ran.out


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory) -> Path:
    """What `npm install` fetches for an app's package.json."""
    folder = tmp_path_factory.mktemp("npm")
    source = Path(modelgpt_edge.embed.app.__file__).parent / "javascript" / "package.json"
    shutil.copy(source, folder)
    subprocess.run(["npm", "install", "--no-audit", "--no-fund"], cwd=folder, check=True, capture_output=True, timeout=300)
    return folder / "node_modules"


@pytest.fixture(scope="module", params=LANGUAGES)
def app(request, package, tmp_path_factory) -> Iterator[tuple[Path, list[str], list[str]]]:
    """An app, ready to run: its folder, the command for a file and the command for one row."""
    language = request.param
    folder = embed(package, language, tmp_path_factory.mktemp("apps") / "my app").path
    if language in ("c", "cpp"):
        made = subprocess.run(["make", "-C", str(folder)], capture_output=True, text=True, timeout=300)
        assert made.returncode == 0, made.stderr
        assert not made.stderr
        yield folder, ["./app"], ["./one_row"]
    elif language == "python":
        yield folder, [sys.executable, "app.py"], [sys.executable, "one_row.py"]
    else:
        (folder / "node_modules").symlink_to(request.getfixturevalue("node_modules"))
        yield folder, ["node", "predict.mjs"], ["node", "one_row.mjs"]


def _run(folder: Path, command: list[str], stdin: bytes | None = None) -> str:
    ran = subprocess.run(command, cwd=folder, input=stdin, capture_output=True, timeout=120)
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout.decode()


def _same(got: str, expected: str) -> None:
    """The same CSV: header and labels letter by letter, probabilities within 1e-5, values within six digits."""
    lines, truth = list(csv.reader(io.StringIO(got))), list(csv.reader(io.StringIO(expected)))
    assert lines[0] == truth[0]
    assert len(lines) == len(truth)
    skip = int(truth[0][0] == "label")
    assert [line[:skip] for line in lines] == [line[:skip] for line in truth]
    ours, theirs = (np.array([line[skip:] for line in table[1:]], float) for table in (lines, truth))
    np.testing.assert_allclose(ours, theirs, atol=1e-5 if skip else 0, rtol=0 if skip else 1e-5)


def test_an_app_prints_what_predict_prints(app, rows_file, predicted):
    folder, command, one_row = app
    _same(_run(folder, [*command, str(rows_file)]), predicted)
    _same(_run(folder, command, rows_file.read_bytes()), predicted)
    example = _run(folder, [*command, "example.csv"])
    assert len(list(csv.reader(io.StringIO(example)))) == 2
    assert _run(folder, one_row)


def test_an_app_says_in_one_line_what_is_wrong_with_a_file(app, rows_file, tmp_path):
    folder, command, _ = app
    open_quote, absent = tmp_path / "open.csv", tmp_path / "absent.csv"
    open_quote.write_bytes(rows_file.read_bytes() + b'"never closed\r\n')
    absent.write_text("other\n1\n", encoding="utf-8")
    (tmp_path / "empty.csv").touch()
    for path in (absent, tmp_path / "empty.csv", tmp_path / "none.csv", open_quote):
        ran = subprocess.run([*command, str(path)], cwd=folder, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 1, path
        assert ran.stderr.count("\n") == 1, ran.stderr
        assert path.name in ran.stderr


def test_cmake_builds_the_cpp_app_too(package, tmp_path, rows_file, predicted):
    folder = embed(package, "cpp", tmp_path / "app").path
    for command in (["cmake", "-B", "build"], ["cmake", "--build", "build"]):
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
    _same(_run(folder, ["build/app", str(rows_file)]), predicted)


@pytest.mark.parametrize("compiler", ["gcc", "g++"])
def test_the_sources_are_strictly_standard(package, tmp_path, compiler):
    folder = embed(package, "cpp" if compiler == "g++" else "c", tmp_path / "app").path
    standard, suffix = ("-std=c++17", "cpp") if compiler == "g++" else ("-std=c11", "c")
    for source in sorted(folder.glob(f"*.{suffix}")):
        flags = ["-Wall", "-Wextra", "-Wpedantic", "-Wno-overlength-strings", "-Werror", "-fsyntax-only"]
        ran = subprocess.run([compiler, standard, *flags, str(source)], capture_output=True, text=True, timeout=120)
        assert ran.returncode == 0, ran.stderr


HARNESS = """<!doctype html><iframe></iframe><script type="module">
try {
  const frame = document.querySelector("iframe");
  frame.src = "app/index.html";
  await new Promise((resolve) => frame.addEventListener("load", resolve));
  const page = frame.contentDocument;
  const until = async (test) => { while (!test()) await new Promise((resolve) => setTimeout(resolve, 20)); };
  await until(() => page.querySelectorAll("input").length);
  const names = [...page.querySelectorAll("input")].map((input) => input.name);
  page.querySelector("button").click();
  await until(() => page.querySelector("output").value);
  await fetch("done", { method: "POST", body: JSON.stringify({ names, shown: page.querySelector("output").value }) });
} catch (error) { await fetch("failed", { method: "POST", body: error.stack }); }
</script>"""


def test_the_page_has_a_field_for_each_column_and_predicts_what_is_filled_in(package, tmp_path, cli):
    emulator = Chromium()
    emulator.set_up()
    assert emulator.probe().available, emulator.probe()
    folder = embed(package, "javascript", tmp_path / "app").path
    library = "app/node_modules/onnxruntime-web/dist"
    contents: dict[str, bytes | Path] = {f"app/{path.name}": path for path in folder.iterdir()}
    contents |= {f"{library}/{name}": library_folder() / name for name in FILES} | {"test.html": HARNESS.encode()}
    with serve(contents, "test.html") as page:
        answer = json.loads(visit(page))
    with (folder / "example.csv").open(encoding="utf-8", newline="") as file:
        assert answer["names"] == next(csv.reader(file))
    expected = json.loads(cli("predict", package, folder / "example.csv", "--variant", "model", "--json").out)[0]
    if "label" in expected:
        label, *lines = answer["shown"].split("\n")
        assert label == expected["label"]
        shown = {name: f"{100 * p:.1f} %" for name, p in expected["probabilities"].items()}
        assert dict(line.rsplit(": ", 1) for line in lines) == shown
    else:
        assert float(answer["shown"]) == pytest.approx(expected["value"], rel=1e-5)


def test_a_compiled_c_variant_can_be_embedded(patients, cli, write_csv, tmp_path):
    package = modelgpt_edge.build("predict it", patients, out=tmp_path / "m4.edge", draws=1, target="cortex-m4").path
    variant = next(v for v in modelgpt_edge.load(package, "model").package.manifest.variants if v.backend == "c")
    rows = write_csv(tmp_path / "rows.csv", patients)
    folder = embed(package, "cpp", tmp_path / "app", variant=variant.name).path
    subprocess.run(["make", "-C", str(folder)], check=True, capture_output=True, timeout=300)
    got = list(csv.DictReader(io.StringIO(_run(folder, ["./app", str(rows)]))))
    expected = list(csv.DictReader(io.StringIO(cli("predict", package, rows, "--variant", "model").out)))
    assert np.mean([a["label"] == b["label"] for a, b in zip(got, expected)]) >= 0.98
    assert (folder / "model.c").read_bytes() == (package / variant.path / "model.c").read_bytes()
