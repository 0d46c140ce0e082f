"""One model, every form of rows and every variant: they agree with each other and with the command line."""

from __future__ import annotations

import json
import random
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import modelgpt_edge
from modelgpt_edge.errors import InputError, PackageError
from modelgpt_edge.runtime.model import Model

NUMBERS = ("age", "weight", "height")


@pytest.fixture(scope="module")
def model(package: Path) -> Model:
    return modelgpt_edge.load(package)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, object]]:
    draw = random.Random(4)
    table = [{name: round(draw.gauss(50, 20), 2) for name in NUMBERS} for _ in range(60)]
    return [{**row, "id": f"p{i}", "price": round(3 * row["age"] - row["height"], 2)} for i, row in enumerate(table)]


@pytest.fixture(scope="module")
def prices(rows, tmp_path_factory) -> Model:
    """A regression on number columns, from a table with an id that isn't used."""
    out = tmp_path_factory.mktemp("prices") / "prices.edge"
    return modelgpt_edge.build("predict the price", rows, label="price", out=out, draws=1).load()


@pytest.mark.usefixtures("one_repeat", "few_sizes")
def test_a_table_is_built_from_in_every_form(patients, tmp_path):
    frame = pd.DataFrame(patients)
    forms = {
        "rows": patients,
        "columns": {name: [row[name] for row in patients] for name in patients[0]},
        "frame": frame,
        "array": frame.to_numpy(),
        "lists": [list(row.values()) for row in patients],
    }
    models = {}
    for name, data in forms.items():
        label = "c3" if name in ("array", "lists") else "outcome"
        built = modelgpt_edge.build("predict the result", data, label=label, out=tmp_path / name, draws=1, target="jetson")
        models[name] = built.load("model")
    expected = models["rows"].predict_proba(patients)
    for name in ("columns", "frame"):
        np.testing.assert_array_equal(models[name].predict_proba(patients), expected)
    cells = frame.to_numpy()[:, :3]
    for name in ("array", "lists"):
        np.testing.assert_array_equal(models[name].predict_proba(cells), expected)


def test_every_form_of_rows_gives_the_same_probabilities(model, patients, write_csv, tmp_path):
    frame = pd.DataFrame(patients)
    expected = model.predict_proba(patients)
    assert expected.shape == (60, 2)
    np.testing.assert_allclose(expected.sum(1), 1, atol=1e-6)
    forms = [
        frame,
        frame[["outcome", "city", "weight", "age"]],
        frame.assign(city=frame["city"].astype("category"), age=frame["age"].astype("float64")),
        {name: [row[name] for row in patients] for name in ("city", "age", "weight")},
        {name: frame[name] for name in frame},
        {name: frame[name].to_numpy() for name in frame},
        frame[["age", "weight", "city"]].to_numpy(),
        [[row["age"], row["weight"], row["city"]] for row in patients],
        [OrderedDict(reversed(row.items())) for row in patients],
        write_csv(tmp_path / "rows.csv", patients),
        str(tmp_path / "rows.csv"),
    ]
    for form in forms:
        np.testing.assert_allclose(model.predict_proba(form), expected, atol=1e-7)
    np.testing.assert_array_equal(model.predict(frame), np.array(["ill", "well"])[expected.argmax(1)])


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"age": 41},
        {"age": "41.0"},
        {"age": np.float64(41), "weight": np.float32(70.5)},
        {"city": "Atlantis"},
        {"city": None},
        {"city": " Oslo "},
        {"age": None, "weight": float("nan")},
        {"age": 1e300},
        {"age": 10**400},
        {"age": "unknown"},
        {"more": "cells", "outcome": "ill"},
    ],
)
@pytest.mark.filterwarnings("error")
def test_one_row_as_a_dict_is_that_row_in_a_list(change, model, patients):
    row = {**patients[0], **change}
    np.testing.assert_allclose(model.predict_proba(row), model.predict_proba([row]), atol=1e-6)
    assert model.predict(row).tolist() == model.predict([row]).tolist()


def test_the_command_line_says_what_the_python_api_says(cli, package, model, patients, write_csv, tmp_path):
    rows = write_csv(tmp_path / "rows.csv", patients)
    values = json.loads(cli("predict", package, rows, "--json").out)
    assert [v["label"] for v in values] == model.predict(rows).tolist()
    np.testing.assert_array_equal([list(v["probabilities"].values()) for v in values], model.predict_proba(rows))


def test_every_variant_loads_by_name_and_predicts_alike(package, model, patients):
    manifest = model.package.manifest
    assert {v.target for v in manifest.variants} == {"x86", "jetson-orin-nano"}
    expected = modelgpt_edge.load(package, "model").predict_proba(patients)
    for variant in manifest.variants:
        loaded = modelgpt_edge.load(package, variant.name)
        assert loaded.variant == variant
        tolerance = {"fp32": 1e-5, "fp16": 2e-2, "int8": 2e-1, "int8-dynamic": 2e-1}[variant.precision]
        np.testing.assert_allclose(loaded.predict_proba(patients), expected, atol=tolerance)
        assert variant.name in repr(loaded)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("jetson-orin-nano-tensorrt-fp61", "'jetson-orin-nano-tensorrt-fp16'"), ("models", "'model'"), ("", "Known: ")],
)
def test_an_unknown_variant_is_refused_with_the_nearest(name, nearest, package):
    with pytest.raises(PackageError, match="no such variant") as refused:
        modelgpt_edge.load(package, name)
    assert nearest in str(refused.value)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([], "no data rows"),
        ({}, "no columns|needs column"),
        ({"age": [], "weight": [], "city": []}, "no data rows"),
        (pd.DataFrame(columns=["age", "weight", "city"]), "no data rows"),
        (np.zeros((0, 3)), "no data rows"),
        ([{"age": 41}], "needs column 'weight'"),
        ({"Age": 41, "weight": 70, "city": "Rome"}, "needs column 'age'.*Did you mean 'Age'"),
        (np.zeros((2, 7)), "array of this width.*7 columns.*3 inputs"),
        (np.zeros(3), "not two-dimensional"),
        ([[1, 2, "Rome"], [1, 2]], "rows differ in length"),
        ({"age": [1, 2], "weight": [3], "city": ["Rome"]}, "columns differ in length"),
        ({"age": [1, 2], "weight": 3, "city": "Rome"}, "not a list of cells"),
        ([41, 42], "not an object of named cells"),
        (42, "not a table"),
        (None, "not a table"),
        ("nowhere.csv", "no such file"),
    ],
)
def test_what_is_no_table_of_rows_is_refused(table, words, model):
    with pytest.raises(InputError, match=words):
        model.predict(table)


def test_regression_predicts_values_and_has_no_probabilities(prices, rows):
    values = prices.predict(rows)
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, [row["price"] for row in rows], atol=15)
    with pytest.raises(InputError, match=r"has no classes.*Call predict\(\)"):
        prices.predict_proba(rows)


@pytest.mark.filterwarnings("error")
def test_arrays_of_numbers_are_the_inputs_or_every_column_but_the_label(prices, rows):
    assert prices.inputs == NUMBERS
    expected = prices.predict(rows)
    frame = pd.DataFrame(rows)
    inputs = frame[list(NUMBERS)].to_numpy()
    everything = frame.drop(columns="price").to_numpy()
    for array in (
        inputs,
        inputs.astype(np.float32),
        np.asfortranarray(inputs),
        inputs[::-1][::-1],
        everything,
        inputs.tolist(),
    ):
        np.testing.assert_allclose(prices.predict(array), expected, rtol=1e-5)
    assert prices.predict(inputs.astype(int)).shape == (60,)
    assert np.isfinite(prices.predict(np.full((1, 3), np.nan))).all()
    assert np.isfinite(prices.predict(np.full((1, 3), 1e300))).all()
    with pytest.raises(InputError, match="no data rows"):
        prices.predict(np.zeros((0, 3)))


def test_one_row_or_many_give_the_same_numbers(prices, model, rows, patients):
    np.testing.assert_allclose([prices.predict(row)[0] for row in rows], prices.predict(rows), rtol=1e-5)
    np.testing.assert_allclose(
        np.concatenate([model.predict_proba(row) for row in patients]), model.predict_proba(patients), atol=1e-6
    )
