"""Cells read in C and in JavaScript as Python reads them: the spellings that people use, and thousands of broken ones."""

from __future__ import annotations

import json
import random
import subprocess
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from modelgpt_edge.data.dates import PATTERNS, read_days
from modelgpt_edge.data.numbers import read_numbers
from modelgpt_edge.data.raw import MISSING
from modelgpt_edge.data.words import read_words

pytestmark = pytest.mark.device

NUMBERS = (
    "63", "-63", "+6.5", ".5", "5.", "1e3", "1E-3", "1e+30", "1e40", "-1e400", "1e-50", "0x10", "1_000", "1,234", "1,234.5",
    "1.234,5", "12,34", "1,2345", "1'234'567", "1\u2019234,5", "1 234", "1\u00a0234", "1\u2009234,5", "1\u202f234",
    "1,234 567", "0,123", "01", "007", "$5", "-$5", "$-5", "5 $", "€ 5", "5€", "£1,000", "¥7", "₹1,23,456", "12 %", "%",
    "-%", "$", "+$5", "$5%", "inf", "-inf", "Infinity", "+INF", "nan", "NaN", "true", "FALSE", "yes", "", "  ", "\t7\n",
    "\u22125", "--5", "5-", "1.2.3", "1,2,3", "1e", "e5", ".", "-", "+", "1 e5", "٣", "3.4028236e38", "1" * 70, "?", "n/a",
    "1,234,", "1,234,567.", "0.1", "16777217",
)  # fmt: skip
DATES = (
    "2024-03-01", "2024-3-1", "2024-02-29", "2023-02-29", "1900-02-29", "2000-02-29", "1969-12-31", "0001-01-01",
    "0000-01-01", "9999-12-31", "2024-13-01", "2024-00-10", "2024-01-32", "2024-03", "2024-3", "1799-12", "2199-12",
    "2200-01", "20240301", "20240301T1230", "20240301T123045", "20240301T123045.5Z", "20240301T123045+0530", "20240301T12",
    "2024-03-01T12:30", "2024-03-01 12:30:45", "2024-03-01 12:30:60Z", "2024-03-01T12:30:45.123456Z",
    "2024-03-01T12:30:45,5", "2024-03-01, 12:30", "2024-03-01T12:30+02:00", "2024-03-01T12:30 -0530", "2024-03-01T12:30+02",
    "2024-03-01 12:30 UTC", "2024-03-01 12:30 GMT", "2024-03-01 1:30 pm", "2024-03-01 12:30 AM", "2024-03-01 12:30 p.m.",
    "2024-03-01 13:30 pm", "2024-03-01 0:30 am", "2024-03-01 24:00", "2024-03-01 23:60", "2024-03-01 12", "2024-03-01T",
    "2024-03-01 x", "2024-03-01T12:30:45 +02:00 x", "2024/03/01", "01.03.2024", "1.3.24", "1.3.69", "1.3.68", "03/01/2024",
    "3/1/24 4:05 PM", "25/12/2024", "01-03-2024", "01-Mar-2024", "1 March 2024", "1  Mar. 2024", "March 1, 2024",
    "Mar 1 2024", "Sept 9, 2021", "Thursday, Sept. 9, 2021", "Thu Sep 9, 2021", "Thu, 09 Sep 2021 10:00:00 GMT",
    "Ma 1, 2024", "Marx 1, 2024", "2024-Mar-01", "", "today", "12345", "1.5", "2024-03-01Z", "2024-03-01T12:30Zulu",
    "2024-03-01T12:30+0", "29 Feb 2023", "  2024-03-01  ",
)  # fmt: skip
VOCABULARY = (
    "Rome", "São Paulo", "3", "0.5", "007", "true", "false", "inf", "-inf", "1e+30", "a b", 'O"slo', "yes", "-4", "x" * 80,
)  # fmt: skip
WORDS = (
    *VOCABULARY, " Rome ", "rome", "3.0", "3e0", "+3", "03", "3.00", ".5", "0.50", "5e-1", "7", "0007", "7.0", "True",
    "TRUE", "fAlse", "Inf", "INFINITY", "-Infinity", "1e30", "10e29", "-4.0", "-04", "a  b", "Yes", *MISSING, "NA", "NaN",
    " ? ", "None", "x" * 79, "x" * 81, "nothing known", "3,0", "$3", "3 ",
)  # fmt: skip

C_HARNESS = """
#include "reading.h"
#include <stdio.h>
#include <string.h>
/* Lines of kind, argument and cell, parted by the bytes 1, and ended by 2. */
int main(void) {
    static char text[4096];
    static const char *const vocabulary[] = {@WORDS@};
    for (int c, at = 0; (c = getchar()) != EOF;) {
        if (c != 2) { text[at++] = (char)c; continue; }
        text[at] = 0, at = 0;
        char *argument = strchr(text, 1) + 1, *cell = strchr(argument, 1) + 1;
        cell[-1] = 0;
        if (*text == 'n') printf("%.9g\\n", read_number(cell, *argument));
        if (*text == 'd') printf("%.9g\\n", read_days(cell, argument));
        if (*text == 'w') printf("%d\\n", (int)find_word(cell, vocabulary, (int)(sizeof vocabulary / sizeof *vocabulary)));
    }
    return 0;
}
"""
JAVASCRIPT_HARNESS = """
import { text } from "node:stream/consumers";
import { Model, readDays, readNumber } from "./model.mjs";
const { asked, vocabulary } = JSON.parse(await text(process.stdin));
let codes;
const ort = { Tensor: class { constructor(type, data) { this.data = data; } } };
const run = async (feeds) => ((codes = feeds.codes.data), { y: { data: codes } });
const session = { inputNames: ["codes"], outputNames: ["y"], run };
const model = new Model(ort, session, { columns: [{ name: "w", type: "word", vocabulary }], classes: [] });
const answers = [];
for (const [kind, argument, cell] of asked) {
  if (kind === "w") await model.predict({ w: cell });
  const value = kind === "n" ? readNumber(cell, argument) : kind === "d" ? readDays(cell, argument) : codes[0];
  answers.push(String(Math.fround(value)));
}
console.log(JSON.stringify(answers));
"""
Asked = list[tuple[str, str, str]]


def _asked() -> Asked:
    """Every spelling under every decimal mark or format, and each again with random characters changed."""
    draw = random.Random(5)
    asked = [("n", mark, cell) for mark in ".," for cell in NUMBERS]
    asked += [("d", pattern, cell) for pattern in PATTERNS for cell in DATES] + [("w", "", cell) for cell in WORDS]
    broken = [(kind, argument, _broken(draw, cell)) for kind, argument, cell in asked for _ in range(2)]
    return [(kind, argument, cell) for kind, argument, cell in asked + broken if not {"\0", "\1", "\2"} & set(cell)]


def _broken(draw: random.Random, cell: str) -> str:
    letters = list(cell)
    for _ in range(draw.randrange(1, 3)):
        place = draw.randrange(len(letters) + 1)
        letters[place : place + draw.randrange(2)] = draw.choice(["", *"0123456789.,-+:/ TZeE$%"])
    return "".join(letters)


def _expected(asked: Asked) -> list[float]:
    values = []
    for kind, argument, cell in asked:
        if kind == "n":
            values.append(float(read_numbers([cell], argument)[0]))
        elif kind == "d":
            values.append(float(read_days([cell], argument)[0]))
        else:
            word = read_words([cell])[0]
            values.append(VOCABULARY.index(word) if word in VOCABULARY else -1.0)
    return values


@pytest.fixture(scope="module")
def asked() -> Asked:
    return _asked()


def _compare(asked: Asked, got: list[float]) -> None:
    expected = _expected(asked)
    assert len(got) == len(expected)
    wrong = [(*a, e, g) for a, e, g in zip(asked, expected, got) if not (e == g or (np.isnan(e) and np.isnan(g)))]
    # Unicode's other digits are numbers to Python alone.
    wrong = [case for case in wrong if "٣" not in case[2]]
    assert not wrong, f"{len(wrong)} of {len(asked)}: {wrong[:20]}"


def test_c_reads_cells_as_python_does(asked, tmp_path):
    from modelgpt_edge.targets.cortexm.literals import string_literal

    folder = resources.files("modelgpt_edge.embed").joinpath("c")
    for name in ("reading.c", "reading.h"):
        (tmp_path / name).write_bytes(folder.joinpath(name).read_bytes())
    (tmp_path / "harness.c").write_text(
        C_HARNESS.replace("@WORDS@", ", ".join(map(string_literal, VOCABULARY))), encoding="utf-8"
    )
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover"]
    subprocess.run(["gcc", *flags, "harness.c", "reading.c", "-o", "harness"], cwd=tmp_path, check=True, timeout=120)
    lines = "".join(f"{kind}\1{argument}\1{cell}\2" for kind, argument, cell in asked)
    ran = subprocess.run([tmp_path / "harness"], input=lines.encode(), capture_output=True, timeout=120)
    assert ran.returncode == 0, ran.stderr.decode()
    _compare(asked, [float(np.float32(line)) for line in ran.stdout.decode().splitlines()])


def test_javascript_reads_cells_as_python_does(asked, tmp_path):
    module = resources.files("modelgpt_edge.targets.browser").joinpath("model.mjs")
    (tmp_path / "model.mjs").write_bytes(module.read_bytes())
    (tmp_path / "harness.mjs").write_text(JAVASCRIPT_HARNESS, encoding="utf-8")
    question = json.dumps({"asked": asked, "vocabulary": VOCABULARY})
    ran = subprocess.run(["node", "harness.mjs"], cwd=tmp_path, input=question, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    _compare(asked, [float(np.float32(value)) for value in json.loads(ran.stdout)])


def test_c_reads_csv_as_python_does(tmp_path: Path):
    """Cells in quotes and not, over lines, with any ending."""
    import csv
    import io

    folder = resources.files("modelgpt_edge.embed").joinpath("c")
    for name in ("csv.c", "csv.h"):
        (tmp_path / name).write_bytes(folder.joinpath(name).read_bytes())
    main = """#include "csv.h"
    int main(void) {
        csv_reader rows = {.file = stdin};
        int state;
        while ((state = csv_read(&rows)) == 1) {
            for (int i = 0; i < rows.count; i++) printf("%s\\1", csv_cell(&rows, i));
            putchar(2);
        }
        csv_free(&rows);
        return state < 0;
    }"""
    (tmp_path / "harness.c").write_text(main, encoding="utf-8")
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined", "-fno-sanitize-recover"]
    subprocess.run(["gcc", *flags, "harness.c", "csv.c", "-o", "harness"], cwd=tmp_path, check=True, timeout=120)
    draw = random.Random(8)
    for ending in ("\n", "\r\n"):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator=ending)
        for _ in range(300):
            letters = ['"', ",", "\n", " ", "a", "é", "'", ";"]
            writer.writerow(["".join(draw.choices(letters, k=draw.randrange(12))) + "." for _ in range(draw.randrange(2, 9))])
        content = text.getvalue().removesuffix(ending)
        ran = subprocess.run([tmp_path / "harness"], input=content.encode(), capture_output=True, timeout=60)
        assert ran.returncode == 0, ran.stderr.decode()
        got = [record.split("\1")[:-1] for record in ran.stdout.decode().split("\2")[:-1]]
        assert got == list(csv.reader(io.StringIO(content, newline=""), skipinitialspace=True))
