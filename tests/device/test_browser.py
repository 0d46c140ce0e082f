"""Variants in headless Chromium, loaded by a page as an app would: golden outputs, raw rows, what goes wrong."""

from __future__ import annotations

import json
import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelgpt_edge
from modelgpt_edge.child_file import CHILD, read_child
from modelgpt_edge.compile.source import ChildSource, calibrate
from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.gate import compare
from modelgpt_edge.golden import Golden
from modelgpt_edge.manifest import CHECKS, GOLDEN
from modelgpt_edge.schema import Column
from modelgpt_edge.targets.browser.backend import OnnxRuntimeWeb, page_facts
from modelgpt_edge.targets.browser.emulator import Chromium, InChromium
from modelgpt_edge.targets.registry import find_target

pytestmark = pytest.mark.device
BROWSER = find_target("browser")


@pytest.fixture(scope="module", autouse=True)
def chromium() -> Chromium:
    emulator = Chromium()
    emulator.set_up()
    found = emulator.probe()
    assert found.available, f"{found.reason}: {found.how_to_get_it}"
    return emulator


def _rows(kind: str) -> list[dict[str, Any]]:
    draw, rows = random.Random(3), []
    for _ in range(120):
        age, city = round(draw.uniform(20, 80), 1), draw.choice(["Rome", "Paris", "Oslo", "São Paulo"])
        day = date(2020, 1, 1) + timedelta(draw.randrange(1500))
        risk = age + 15 * (city == "Oslo") + 8 * (day.month in (1, 2, 12)) + draw.gauss(0, 4)
        row: dict[str, Any] = {"age": age if draw.random() > 0.1 else None, "city": city if draw.random() > 0.05 else None}
        row |= {"visited": day.isoformat(), "smoker": draw.choice(["true", "false"])}
        rows.append({**row, "outcome": ("ill, very" if risk > 60 else "well") if kind == "classification" else risk * 100})
    return rows


@pytest.fixture(scope="module", params=["classification", "regression"])
def package(request, tmp_path_factory) -> Path:
    """A package for the browser, of numbers, words, a date and missing cells."""
    out = tmp_path_factory.mktemp("packages") / f"{request.param}.edge"
    rows = _rows(request.param)
    return modelgpt_edge.build("predict the outcome", rows, label="outcome", out=out, draws=1, target="browser").path


@pytest.fixture(scope="module")
def variant(package, tmp_path_factory) -> Path:
    """Its fp32 form."""
    return _compiled(package, "fp32", tmp_path_factory.mktemp("variant"))


def _compiled(package: Path, precision: str, folder: Path) -> Path:
    child = read_child(package / CHILD)
    golden = Golden.read(package / GOLDEN)
    encoded = child.encoder.encode(golden.numbers, child.encoder.codes(list(golden.words.T)))
    source = ChildSource(child, "0", calibrate(child, encoded))
    for name, content in OnnxRuntimeWeb().compile(source, BROWSER, precision).files.items():
        (folder / name).write_bytes(content)
    return folder


def test_a_build_for_the_browser_ran_in_one(package):
    hops = [hop["name"] for hop in json.loads((package / CHECKS).read_text(encoding="utf-8"))["hops"]]
    assert any("browser onnxruntime-web" in name for name in hops)
    variants = json.loads((package / "manifest.json").read_text(encoding="utf-8"))["variants"]
    assert {v["status"] for v in variants if v["target"] == "browser"} == {"runs under an emulator"}


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_chromium_reproduces_the_golden_outputs(package, precision, chromium, tmp_path):
    golden, child = Golden.read(package / GOLDEN), read_child(package / CHILD)
    executor = chromium.open("onnxruntime-web", _compiled(package, precision, tmp_path).joinpath, BROWSER)
    got = executor.run(golden.numbers, child.encoder.codes(list(golden.words.T)))
    hop = compare(precision, golden.outputs, got, precision, golden.unit)
    assert hop.passed, hop.line()


def test_an_app_gives_rows_as_they_are_and_gets_what_python_predicts(package, variant):
    # Spellings that both must read alike: missing cells, unknown words, numbers as text, dates with a time and a zone.
    rows = _rows("classification")[:20]
    rows[0] |= {"age": "1,050.5", "city": "Atlantis"}
    rows[1] |= {"age": " $45 ", "city": " Rome ", "smoker": "TRUE"}
    rows[2] |= {"age": "n/a", "city": "?", "visited": None}
    rows[3] |= {"age": 45, "visited": "2021-05-06T23:30:00-05:00", "smoker": True}
    rows[4] |= {"age": "not a number", "visited": "2021-02-30"}
    rows[5] |= {"age": "-inf", "visited": "2021-05-06 11:59 PM"}
    rows[6] |= {"visited": 18000, "note": "a column that the model doesn't have"}
    predictions = InChromium(variant.joinpath).predict(rows)
    model = modelgpt_edge.load(package, "model")
    if model.classes:
        expected = model.predict_proba(rows)
        got = [[p["probabilities"][name] for name in model.classes] for p in predictions]
        np.testing.assert_allclose(got, expected, atol=1e-5)
        assert [p["label"] for p in predictions] == list(model.predict(rows))
    else:
        np.testing.assert_allclose([p["value"] for p in predictions], model.predict(rows), rtol=1e-5)


def test_a_row_without_one_of_the_columns_is_an_error_in_the_page_and_is_passed_on(variant):
    row = _rows("classification")[0]
    row["Age"] = row.pop("age")
    with pytest.raises(TargetUnavailableError, match=r'the page failed: .*the row has no column "age"'):
        InChromium(variant.joinpath).predict([row])


def test_a_damaged_graph_is_an_error_in_the_page_and_is_passed_on(variant, tmp_path):
    for path in variant.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[: -100 if path.suffix == ".onnx" else None])
    with pytest.raises(TargetUnavailableError, match="the page failed"):
        InChromium(tmp_path.joinpath).predict([_rows("classification")[0]])


def test_dates_and_numbers_are_read_as_the_table_spells_them(package, variant, tmp_path):
    child = read_child(package / CHILD)
    schema = modelgpt_edge.load(package, "model").package.manifest.requirement.schema
    columns = [
        *(c for c in schema.columns if c.name not in ("age", "visited")),
        Column("age", "number", decimal=","),
        Column("visited", "date", date_format="%b %d, %Y"),
    ]
    for path in variant.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.json").write_bytes(page_facts(child, columns))
    row = _rows("classification")[0] | {"city": "Rome"}
    spelled = [row | {"age": "1.045,25", "visited": "Thursday, Sept. 9, 2021"}, row | {"age": 1045.25, "visited": "2021-09-09"}]
    one, other = InChromium(tmp_path.joinpath).predict(spelled)
    assert one == other


def test_one_row_is_timed_where_it_runs(variant, package):
    golden, child = Golden.read(package / GOLDEN), read_child(package / CHILD)
    codes = child.encoder.codes(list(golden.words.T))
    measured = OnnxRuntimeWeb().profile(variant.joinpath, BROWSER, golden.numbers, codes)
    assert 0 < measured["p50_us"] <= measured["p90_us"] <= measured["p99_us"]
    assert measured["load_ms"] > 0
    assert "Chrome" in measured["browser"]
