from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import modelgpt_edge.data.stream as stream
from modelgpt_edge.data.profile import profile
from modelgpt_edge.data.sources import open_source
from modelgpt_edge.data.table import Rows, Table, open_table, read_rows
from modelgpt_edge.errors import InputError
from modelgpt_edge.schema import Column, Schema

COLUMNS = (Column("age", "number"), Column("city", "category"), Column("seen", "date", date_format="iso"))
CLASSES = Schema(COLUMNS, Column("label", "category"), "", "classification", "", classes=("no", "yes"))
VALUES = Schema(COLUMNS, Column("label", "number"), "", "regression", "")
CELLS = {
    "label": ["yes", "no", "", "maybe"],
    "city": ["Rome", " ", "3.0", None],
    "age": ["41", "x", 3, None],
    "seen": ["1970-01-02", "", "soon", "1970-01-01 12:00"],
}


def test_rows_are_read_by_the_schema() -> None:
    rows = read_rows(CELLS, CLASSES)
    assert list(rows.numbers) == ["age", "seen"]
    assert list(rows.words) == ["city"]
    np.testing.assert_array_equal(rows.numbers["age"], np.array([41, np.nan, 3, np.nan], np.float32))
    np.testing.assert_array_equal(rows.numbers["seen"], np.array([1, np.nan, np.nan, 0.5], np.float32))
    assert rows.words["city"].tolist() == ["Rome", "", "3", ""]
    assert (rows.labels.tolist(), rows.labels.dtype) == ([1, 0, -1, -1], np.int32)
    assert rows.labelled.tolist() == [True, True, False, False]
    assert len(rows) == 4
    for index in (np.array([2, 0]), np.array([True, False, True, False]), slice(0, 2)):
        part = rows.take(index)
        assert part.labels.tolist() == rows.labels[index].tolist()
        assert part.words["city"].tolist() == rows.words["city"][index].tolist()


def test_regression_labels() -> None:
    cells = {**CELLS, "label": ["1.5", "inf", "", "x"]}
    rows = read_rows(cells, VALUES)
    np.testing.assert_array_equal(rows.labels, [1.5, np.nan, np.nan, np.nan])
    assert rows.labels.dtype == np.float64
    german = Schema(COLUMNS, Column("label", "number", decimal=","), "", "regression", "")
    assert read_rows({**CELLS, "label": ["1,5"] * 4}, german).labels.tolist() == [1.5] * 4


def test_labels_spelled_by_other_readers() -> None:
    schema = Schema(COLUMNS, Column("label", "category"), "", "classification", "", classes=("0", "1"))
    for label in (["1", "0", "1.0", "0"], [1, 0, 1, 0], np.array([1.0, 0, 1, 0])):
        assert read_rows({**CELLS, "label": label}, schema).labels.tolist() == [1, 0, 1, 0]
    schema = Schema(COLUMNS, Column("label", "category"), "", "classification", "", classes=("false", "true"))
    for label in (["True", "False"] * 2, [True, False] * 2, ["TRUE", "false"] * 2):
        assert read_rows({**CELLS, "label": label}, schema).labels.tolist() == [1, 0, 1, 0]


def test_extra_columns_and_any_order() -> None:
    expected = read_rows(CELLS, CLASSES)
    got = read_rows({"more": [1, 2, 3, 4], **{name: CELLS[name] for name in reversed(CELLS)}}, CLASSES)
    assert got.words["city"].tolist() == expected.words["city"].tolist()
    without = read_rows({name: CELLS[name] for name in ("age", "city", "seen")}, CLASSES, labelled=False)
    assert without.labels.tolist() == [-1] * 4
    assert np.isnan(read_rows(CELLS, VALUES, labelled=False).labels).all()


def test_an_absent_column_is_named() -> None:
    cells = {"Age": [1], "city": ["a"], "seen": [""], "label": ["yes"]}
    with pytest.raises(
        InputError, match=r"columns: the model needs column 'age', and the table does not have it.*Did you mean 'Age'\?"
    ):
        read_rows(cells, CLASSES)
    with pytest.raises(InputError, match=r"'age' \(and 3 more: 'city', 'seen', 'label'\).*Known: 'q'"):
        read_rows({"q": [1]}, CLASSES)
    with pytest.raises(InputError, match="needs column 'label'"):
        read_rows({"age": [1], "city": ["a"], "seen": [""]}, CLASSES)


def open_(data: object, schema: Schema, sample_rows: int = 20_000, held_rows: int = 5_000) -> Table:
    source = open_source(data)
    return open_table(source, profile(source, 1, sample_rows, held_rows), schema)


def test_a_small_table_is_one_chunk() -> None:
    table = open_(CELLS, CLASSES)
    assert (table.rows, len(table.sample), table.held) == (2, 2, None)
    assert table.notes == ("2 of 4 rows have no usable label and are left out",)
    assert [len(chunk) for chunk in table.chunks()] == [2]
    assert open_({**CELLS, "label": ["no"] * 4}, CLASSES).notes == ()


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_chunks_and_held_rows_make_up_the_table(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "CHUNK_ROWS", 64)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": np.arange(1000), "city": rng.choice(["a", "b"], 1000), "seen": "2024-01-01"})
    frame["label"] = (
        rng.choice(["yes", "no", "?"], 1000)
        if kind == "classification"
        else np.where(frame["age"] % 7, frame["age"] / 2, np.nan)
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    schema = CLASSES if kind == "classification" else VALUES
    known = frame[frame["label"].isin(["yes", "no"]) if kind == "classification" else frame["label"].notna()]
    table = open_(tmp_path / "t.csv", schema, sample_rows=200, held_rows=100)
    assert table.held is not None
    assert table.rows == len(known)
    assert table.notes == (f"{1000 - len(known)} of 1,000 rows have no usable label and are left out",)
    streamed = [age for chunk in table.chunks() for age in chunk.numbers["age"].tolist()]
    held, sample = table.held.numbers["age"].tolist(), table.sample.numbers["age"].tolist()
    assert sorted(streamed + held) == known["age"].tolist()
    assert streamed == sorted(streamed)
    assert set(sample) < set(streamed)
    assert not set(held) & set(streamed)
    assert [c.labels.tolist() for c in table.chunks()] == [c.labels.tolist() for c in table.chunks()]
    labels = {int(a): value for chunk in (*table.chunks(), table.held) for a, value in zip(chunk.numbers["age"], chunk.labels)}
    for age, label in zip(known["age"], known["label"]):
        assert labels[age] == (schema.classes.index(label) if kind == "classification" else label)


def test_no_label_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="column 'label': no row has a label"):
        open_({**CELLS, "label": [None, "?", "", "NA"]}, CLASSES)


def test_numbers_in_one_file_and_words_in_another(tmp_path: Path) -> None:
    """A code that is all digits in one file and has letters in another is the same word in both, whatever reads it."""
    schema = Schema((Column("code", "category"),), Column("y", "number"), "", "regression", "")
    pd.DataFrame({"code": [1, 2, 2], "y": [0, 1, 0]}).to_parquet(tmp_path / "digits.parquet")
    (tmp_path / "letters.csv").write_text("code,y\n1,0\n2.0,1\nB7,0\n")
    digits, letters = (next(open_source(tmp_path / name).chunks()) for name in ("digits.parquet", "letters.csv"))
    assert read_rows(digits, schema).words["code"].tolist() == ["1", "2", "2"]
    assert read_rows(letters, schema).words["code"].tolist() == ["1", "2", "B7"]


def test_rows_without_inputs_still_have_a_length() -> None:
    schema = Schema((), Column("label", "category"), "", "classification", "", classes=("no", "yes"))
    assert len(read_rows(CELLS, schema)) == 4
    assert len(read_rows(CELLS, schema, labelled=False)) == 4
    assert isinstance(read_rows(CELLS, schema).take(slice(0, 1)), Rows)
