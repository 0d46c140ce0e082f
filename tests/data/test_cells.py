import math
from datetime import date, datetime, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelgpt_edge.data.cells import is_missing, read_column, read_days, read_floats, read_numbers, read_words
from modelgpt_edge.schema import Column

quick = settings(max_examples=50, deadline=None)
odd_cells = [pd.NA, pd.NaT, np.datetime64("NaT"), np.float32(0.1), np.True_]
plain_cells = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.binary(max_size=8)
raw = (
    plain_cells | st.dates() | st.datetimes() | st.decimals() | st.lists(st.integers(), max_size=2) | st.sampled_from(odd_cells)
)


@pytest.mark.parametrize("cell", ["", "  ", "NA", "n/a", "NaN", "null", "NULL", "None", "?", "<NA>", "#N/A", "\\N", " na "])
def test_tokens_are_missing(cell: str) -> None:
    assert is_missing(cell)
    assert math.isnan(read_floats([cell])[0])
    assert read_words([cell])[0] == ""
    assert math.isnan(read_days([cell], "iso")[0])


@pytest.mark.parametrize(
    "cell", [None, math.nan, np.nan, np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT"), Decimal("NaN")]
)
def test_empty_objects_are_missing(cell: object) -> None:
    assert is_missing(cell)
    assert read_words([cell, "a"]).tolist() == ["", "a"]
    assert math.isnan(read_numbers([cell])[0])
    assert math.isnan(read_days([cell], "iso")[0])


@pytest.mark.parametrize("cell", ["-", "0", "no", "nah", 0, 0.0, False, [], {}, (), "nullable", np.zeros(2)])
def test_values_are_not_missing(cell: object) -> None:
    assert not is_missing(cell)


def test_pandas_agrees_on_what_is_missing() -> None:
    from io import StringIO

    tokens = [
        "NA",
        "N/A",
        "NaN",
        "nan",
        "-nan",
        "null",
        "NULL",
        "None",
        "<NA>",
        "#N/A",
        "#NA",
        "#N/A N/A",
        "1.#IND",
        "-1.#QNAN",
        "n/a",
    ]
    frame = pd.read_csv(StringIO("a,b\n" + "".join(f"{t},1\n" for t in tokens)))
    assert frame["a"].isna().all()
    assert all(map(is_missing, tokens))


@pytest.mark.parametrize(
    ("cell", "decimal", "value"),
    [
        ("1,234.5", ".", 1234.5),
        ("-1,234,567", ".", -1234567),
        ("1 234.5", ".", 1234.5),
        ("1'234", ".", 1234),
        ("3,14", ",", 3.14),
        ("1.234,5", ",", 1234.5),
        ("-1.234.567", ",", -1234567),
        ("1e3", ".", 1000),
        ("+5", ".", 5),
        (".5", ".", 0.5),
        ("\u22123", ".", -3),
        (" 7 ", ".", 7),
        ("True", ".", 1),
        ("false", ".", 0),
        ("inf", ".", math.inf),
        ("-Infinity", ".", -math.inf),
        ("1e999", ".", math.inf),
        (True, ".", 1),
        (np.int8(3), ".", 3),
        (np.float32(0.5), ".", 0.5),
        (Decimal("2.5"), ".", 2.5),
        (10**400, ".", math.inf),
        (b"12", ".", 12),
    ],
)
def test_numbers(cell: object, decimal: str, value: float) -> None:
    assert read_floats([cell], decimal)[0] == value
    assert read_floats(["x", cell], decimal)[1] == value


@pytest.mark.parametrize(
    ("cell", "decimal"),
    [
        *((cell, ".") for cell in ("1_000", "12,34", "0,123", "1,2345", "1.5.2", "12a", "-", ".", "0x10", "1 2")),
        *((cell, ",") for cell in ("3.14", "1.2.3", "1_000", "1,2,3")),
        *((cell, ".") for cell in (date(2024, 1, 1), np.datetime64("2024-01-01"), [1], 1j)),
    ],
)
def test_not_numbers(cell: object, decimal: str) -> None:
    assert math.isnan(read_floats([cell], decimal)[0])
    assert math.isnan(read_floats([cell] * 1200, decimal)[1199])


def test_float32_overflow_is_infinite() -> None:
    assert read_numbers(["1e300", "-1e300"]).tolist() == [math.inf, -math.inf]
    assert read_numbers(["1"]).dtype == np.float32


@quick
@given(st.lists(st.one_of(st.floats(), st.integers(-(2**60), 2**60)), min_size=1, max_size=30), st.sampled_from([1, 1000]))
def test_numbers_round_trip(values: list[float], times: int) -> None:
    values = values * times
    expected = np.array(values, np.float64)
    np.testing.assert_array_equal(read_floats(values), expected)
    np.testing.assert_array_equal(read_floats([repr(v) for v in values]), expected)
    np.testing.assert_array_equal(read_floats([repr(v).replace(".", ",") for v in values], ","), expected)


@quick
@given(st.lists(st.text(alphabet="0123456789.,-+ e_\n\u0661", max_size=8), min_size=1, max_size=20), st.sampled_from(".,"))
def test_a_long_column_reads_as_its_cells_do(cells: list[str], decimal: str) -> None:
    one_by_one = np.array([read_floats([cell], decimal)[0] for cell in cells])
    np.testing.assert_array_equal(read_floats(cells * (1 + 1000 // len(cells)), decimal)[: len(cells)], one_by_one)
    np.testing.assert_array_equal(read_floats([*cells, None], decimal)[:-1], one_by_one)
    np.testing.assert_array_equal(read_floats([*cells, 1.5], decimal)[:-1], one_by_one)


def test_numpy_columns() -> None:
    assert read_numbers(np.array([1, 2], np.int16)).tolist() == [1, 2]
    assert read_numbers(np.array(["1", "x"])).tolist()[0] == 1
    assert read_numbers(np.array([True, False])).tolist() == [1, 0]
    assert np.isnan(read_numbers(np.array(["2024-01-01"], "datetime64[D]"))).all()
    assert read_numbers(np.array([1, "2.5", None, pd.NA], object)).tolist()[:2] == [1, 2.5]
    assert read_numbers([]).shape == (0,)


@pytest.mark.parametrize(
    ("cells", "word"),
    [
        ([True, "TRUE", "true", " True ", np.True_], "true"),
        ([3, 3.0, "3", "3.0", "3.", np.int64(3), np.float32(3), Decimal("3.0"), "+3", "3e0"], "3"),
        ([2.5, "2.50", "2.5", np.float64(2.5), np.float16(2.5)], "2.5"),
        ([0.1, np.float32(0.1), "0.10", ".1"], "0.1"),
        ([0, "0", -0.0, "-0", "0.0"], "0"),
        (["007"], "007"),
        (["e5"], "e5"),
        (["1_000"], "1_000"),
        (["caf\u00e9", "cafe\u0301", " caf\u00e9\u00a0"], "caf\u00e9"),
        ([math.inf, "inf", "Infinity", "+INF"], "inf"),
        ([1e-05, "0.00001", "1e-5"], "1e-05"),
        ([12345678901234567890, "12345678901234567890"], "12345678901234567890"),
        (
            [date(2024, 1, 2), datetime(2024, 1, 2), np.datetime64("2024-01-02"), pd.Timestamp("2024-01-02"), "2024-01-02"],
            "2024-01-02",
        ),
        ([datetime(2024, 1, 2, 3, 4), np.datetime64("2024-01-02T03:04", "ns")], "2024-01-02 03:04:00"),
        (["-"], "-"),
        ([b"abc", "abc"], "abc"),
        ([[1, "a"], '[1, "a"]'], '[1, "a"]'),
    ],
)
def test_one_word_a_value(cells: list[object], word: str) -> None:
    assert read_words(cells).tolist() == [word] * len(cells)
    assert [read_words([cell])[0] for cell in cells] == [word] * len(cells)


def test_equal_keys_of_different_types_stay_apart() -> None:
    assert read_words([True, 1, 1.0, "1", "True", 0, False]).tolist() == ["true", "1", "1", "1", "true", "0", "false"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.uint8, np.bool_])
def test_arrays_and_lists_are_the_same_words(dtype: type) -> None:
    array = np.array([0, 1, 1, 0], dtype)
    assert read_words(array).tolist() == read_words(list(array)).tolist() == read_words(array.astype(object)).tolist()


def test_parquet_and_csv_spellings_are_the_same_words() -> None:
    series = pd.Series([1, None, 2.5, 1e6])
    assert (
        read_words(series.to_numpy()).tolist()
        == read_words(["1", "", "2.50", "1000000.0"]).tolist()
        == ["1", "", "2.5", "1000000"]
    )


@quick
@given(st.lists(raw, max_size=8))
def test_any_cell_reads_as_something(cells: list[object]) -> None:
    words = read_words(cells)
    assert words.dtype == object
    assert all(type(word) is str for word in words)
    assert read_words(words).tolist() == words.tolist()  # reading again changes nothing
    assert read_numbers(cells).shape == read_days(cells, "iso").shape == (len(cells),)
    for cell, word in zip(cells, words):
        assert is_missing(cell) == (word == "") or isinstance(cell, (bytes, str))


@quick
@given(st.floats(allow_nan=False))
def test_a_float_and_its_text_are_one_word(value: float) -> None:
    assert read_words([value])[0] == read_words([repr(value)])[0]
    assert float(read_words([value])[0]) == value


@quick
@given(st.integers(-(10**6), 10**6), st.integers(0, 6))
def test_short_decimals_are_one_word(mantissa: int, places: int) -> None:
    text = f"{mantissa / 10**places:.{places}f}"
    assert read_words([text])[0] == read_words([float(text)])[0]


def test_a_column_is_read_by_its_type() -> None:
    assert read_column(["1,5"], Column("a", "number", decimal=",")).tolist() == [1.5]
    assert read_column(["02.01.1970"], Column("a", "date", date_format="%d.%m.%Y")).tolist() == [1.0]
    assert read_column(["1.0"], Column("a", "category")).tolist() == ["1"]
    assert read_column([datetime(1970, 1, 1, 12, tzinfo=timezone.utc)], Column("a", "date", date_format="iso")).tolist() == [
        0.5
    ]


@pytest.mark.parametrize(
    ("cell", "number"),
    [("$1,234.50", 1234.5), ("-$5", -5), ("$-5", -5), ("5 €", 5), ("12.5%", 12.5), ("12 %", 12), ("£ 3", 3), ("\u2212¥7", -7)],
)
def test_one_unit_of_money_or_per_cent_is_let_go(cell, number):
    assert read_numbers([cell]).tolist() == [number]
    assert read_numbers([cell, "1", ""])[:2].tolist() == [number, 1]


@pytest.mark.parametrize("cell", ["$", "%", "- $", "$$5", "5%%", "a%", "-%", "5$6", "$USD"])
def test_other_uses_of_those_signs_are_no_numbers(cell):
    assert np.isnan(read_numbers([cell])).all()
