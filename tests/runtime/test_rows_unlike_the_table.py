"""Rows given to predict that are unlike the table the model was built from: they work, and the user is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import modelgpt_edge
from modelgpt_edge.runtime.model import Model


@pytest.fixture(scope="module")
def model(package: Path) -> Model:
    return modelgpt_edge.load(package)


@pytest.fixture
def notes(model, tmp_path):
    """Notes on a file of rows, and the probabilities."""
    from modelgpt_edge.data.sources import open_source

    def read(text: str, name: str = "rows.csv"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        outputs, told = model.run_source(open_source(tmp_path / name))
        assert np.isfinite(outputs).all()
        return outputs, told

    return read


def test_rows_like_the_table_need_no_note(notes):
    assert notes("age,weight,city\n41,70,Rome\n62,81.5,Oslo\n")[1] == ()


def test_columns_in_any_order_and_more_of_them_are_fine_and_noted(notes):
    plain, _ = notes("age,weight,city\n41,70,Rome\n")
    outputs, told = notes("comment,city,outcome,weight,age\nhello,Rome,ill,70,41\n")
    np.testing.assert_array_equal(outputs, plain)
    assert told == ("not used: 'comment', 'outcome'",)


def test_missing_cells_and_unknown_words_are_counted_by_column(notes):
    _, told = notes("age,weight,city\n,70,Rome\nNA,?,Atlantis\n41,heavy,\n62,81,Gotham\n")
    assert told == (
        "missing cells in 'age' (2), 'weight' (1), 'city' (1): a number takes the column's median, a word counts as none",
        "cells that are no numbers in 'weight' (1, such as 'heavy'): taken as missing",
        "words that the model doesn't know in 'city' (2, such as 'Atlantis'): each counts as no word",
    )


def test_an_unknown_word_counts_as_a_missing_one(model):
    np.testing.assert_array_equal(
        model.predict_proba({"age": 41.0, "weight": 70.0, "city": "Atlantis"}),
        model.predict_proba({"age": 41.0, "weight": 70.0, "city": None}),
    )


def test_a_file_with_decimal_commas_is_read_by_a_model_from_decimal_points(notes):
    plain, _ = notes("age,weight,city\n41.5,1070.25,Rome\n62,81.125,Oslo\n")
    outputs, told = notes("age;weight;city\n41,5;1.070,25;Rome\n62;81,125;Oslo\n")
    np.testing.assert_array_equal(outputs, plain)
    assert "read with decimal commas, unlike the table that the model was built from: 'age', 'weight'" in told


def test_a_file_with_decimal_points_is_read_by_a_model_from_decimal_commas(patients, tmp_path):
    lines = ["age;city;outcome", *(f"{str(r['age']).replace('.', ',')};{r['city']};{r['outcome']}" for r in patients)]
    (tmp_path / "table.csv").write_text("\n".join(lines), encoding="utf-8")
    out = tmp_path / "model.edge"
    model = modelgpt_edge.build("predict the outcome", tmp_path / "table.csv", out=out, draws=1, target="jetson").load()
    expected = model.predict_proba([{"age": "41,5", "city": "Rome"}, {"age": "62,0", "city": "Oslo"}])
    for rows in (
        [{"age": "41.5", "city": "Rome"}, {"age": "62.0", "city": "Oslo"}],
        [{"age": 41.5, "city": "Rome"}, {"age": 62, "city": "Oslo"}],
    ):
        np.testing.assert_allclose(model.predict_proba(rows), expected, atol=1e-6)


def test_a_point_or_comma_that_could_be_either_is_read_as_the_file_makes_likely(notes):
    assert notes("age;weight;city\n41;70.125;Rome\n")[1] == ("separator: semicolon",)
    told = notes("age;weight;city\n41;70,125;Rome\n")[1]
    assert "read with decimal commas, unlike the table that the model was built from: 'weight'" in told
    assert notes('age,weight,city\n41,"1,070",Rome\n')[1] == ()


@pytest.fixture(scope="module")
def coded(tmp_path_factory) -> Model:
    """A model whose word column holds codes that look like numbers, beside some that don't."""
    codes = ["1", "2", "007", "2b", "true"]
    rows = [{"code": codes[i % 5], "size": i % 7 + 0.5, "result": "yes" if i % 5 in (0, 3) else "no"} for i in range(60)]
    out = tmp_path_factory.mktemp("coded") / "coded.edge"
    return modelgpt_edge.build("predict the result", rows, out=out, draws=1, target="jetson").load()


@pytest.mark.parametrize(
    ("cell", "same"), [(1, "1"), (1.0, "1"), ("1.0", "1"), (np.int64(2), "2"), (True, "true"), ("TRUE", "true")]
)
def test_numbers_that_were_words_in_the_table_find_their_words(cell, same, coded):
    expected = coded.predict_proba({"code": same, "size": 1.5})
    np.testing.assert_allclose(coded.predict_proba([{"code": cell, "size": 1.5}]), expected, atol=1e-6)
    assert (coded.predict_proba({"code": "never", "size": 1.5}) != expected).any()


def test_a_code_with_leading_zeros_is_another_word(coded):
    zeros, plain = (coded.predict_proba({"code": code, "size": 1.5}) for code in ("007", "7"))
    assert (zeros != plain).any()


def test_a_column_of_words_only_in_this_file_still_reads_as_numbers(model, tmp_path):
    rows = [{"age": "41", "weight": " 70.0 ", "city": "Rome"}, {"age": "+62", "weight": "8.15e1", "city": "Oslo"}]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    plain = model.predict_proba([{"age": 41, "weight": 70, "city": "Rome"}, {"age": 62, "weight": 81.5, "city": "Oslo"}])
    np.testing.assert_array_equal(model.predict_proba(tmp_path / "rows.jsonl"), plain)


def test_many_odd_columns_are_listed_shortly(patients, tmp_path):
    rows = [{**row, **{f"x{i}": row["age"] + i for i in range(9)}} for row in patients]
    out = tmp_path / "model.edge"
    built = modelgpt_edge.build("predict the outcome", rows, out=out, draws=1, target="jetson")
    from modelgpt_edge.data.sources import open_source

    _, told = built.load().run_source(open_source([dict.fromkeys(rows[0])]))
    assert any("and 7 more" in note for note in told)
    assert max(map(len, told)) < 200
