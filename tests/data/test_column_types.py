import numpy as np
import pandas as pd
import pytest

from modelgpt_edge.data.column_types import type_column
from modelgpt_edge.data.profile import profile
from modelgpt_edge.data.sources import open_source
from modelgpt_edge.schema import Column, Dropped

RNG = np.random.default_rng(0)


def typed(cells: object, name: str = "x") -> Column | Dropped:
    return type_column(profile(open_source(pd.DataFrame({name: cells})), 0).columns[0])


@pytest.mark.parametrize(
    ("cells", "kind", "because"),
    [
        ([1.5, 2.5, 3.5], "number", "numbers"),
        ([1, 2, 2], "number", "whole numbers"),
        ([0, 1, 0, 1], "number", "whole numbers"),
        (["1,5", "2,5", "2,5"], "number", "numbers with a decimal comma"),
        (["1.5"] * 30 + ["2"] * 10 + ["oops"], "number", "numbers; 1 other cell such as 'oops' taken as missing"),
        (["1.5", "2", "-", "-"] * 5, "number", "numbers; 10 other cells such as '-' taken as missing"),
        ([1.5, np.inf, 2.5], "number", "numbers; 1 infinite cell"),
        ([7, None, 7], "number", "whole numbers"),
        (["2024-01-02", "2024-01-03", ""], "date", "dates, ISO 8601"),
        (pd.to_datetime(["2024-01-02", "2024-01-03"]), "date", "dates, ISO 8601"),
        (["01/02/2024", "02/03/2024"], "date", "dates, %m/%d/%Y; every date reads day first and month first"),
        ([True, False, None], "category", "booleans"),
        (["TRUE", "false", "True"], "category", "booleans"),
        (["red", "blue", "red"], "category", "words, 2 different"),
        (["yes", "", "yes"], "category", "words, 1 different"),
        (["+", "-"] * 10, "category", "words, 2 different"),
        (["1", "2", "3+", "3+"], "category", "words, 3 different; 50% of the cells are numbers, others such as '3+' are not"),
        (["01234", "01234", "AB1"] * 9, "category", "words, 2 different; 67% of the cells are numbers"),
    ],
)
def test_kept_columns(cells: object, kind: str, because: str) -> None:
    column = typed(cells)
    assert isinstance(column, Column)
    assert column.type == kind
    assert column.because.startswith(because)


def test_how_cells_are_read_is_kept() -> None:
    column = typed(["1,5", "2,5", "2,5"])
    assert isinstance(column, Column)
    assert column.decimal == ","
    column = typed(["13.01.2024", "14.02.2024"])
    assert isinstance(column, Column)
    assert column.date_format == "%d.%m.%Y"


@pytest.mark.parametrize(
    ("name", "cells", "because"),
    [
        ("x", [None, "NA", ""], "every cell is missing"),
        ("x", ["a", "a", "A".lower()], "constant: every cell is 'a'"),
        ("x", [3, 3.0, 3], "constant: every cell is '3'"),
        ("x", [None, None, "a"], "only one cell has a value"),
        ("x", [np.inf, -np.inf, np.inf], "no finite number"),
        ("x", ["u1", "u2", "u3", "u4"], "an id: words that all differ"),
        ("PassengerId", [11, 15, 13], "an id: whole numbers"),
        ("customer_id", [11, 15, 13], "an id: whole numbers"),
        ("customerid", [11, 15, 13], "an id: whole numbers"),
        ("ID", [11.0, 15.0, 13.0], "an id: whole numbers"),
        ("Unnamed: 0", [0, 1, 2], "an id: whole numbers"),
        ("index", [5, 6, 9], "an id: whole numbers"),
        ("row number", [5, 6, 9], "an id: whole numbers"),
        ("x", list(range(30)), "a row number: it counts 0, 1, ..."),
        ("x", list(range(1, 31)), "a row number: it counts 1, 2, ..."),
        ("x", [f"the {i}th of the reviews" for i in range(30)], "free text: 100% of its cells differ"),
        ("x", [f"the {i % 28}th of the reviews" for i in range(30)], "free text: 93% of its cells differ"),
        ("x", ["a b", "c d"], "free text: its cells all differ"),
        ("id", [f"{i:05}x" for i in range(20_000)], "an id: words that all differ"),
        ("id", [7 * i for i in range(20_000)], "an id: whole numbers"),
    ],
)
def test_dropped_columns(name: str, cells: list[object], because: str) -> None:
    column = typed(cells, name)
    assert isinstance(column, Dropped)
    assert column.name == name
    assert column.because.startswith(because)


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("customer_id", [11, 11, 13]),
        ("x", list(range(10))),
        ("x", list(range(2, 40))),
        ("x", list(range(40))[::-1]),
        ("paid", [101, 250, 99]),
        ("price index", [101, 250, 99]),
        ("humid", [101, 250, 99]),
        ("weight", RNG.normal(size=50).tolist()),
        ("id", [1.5, 2.5, 3.5]),
        ("price", RNG.permutation(40_000)[:30_000].tolist()),
    ],
)
def test_columns_that_only_look_like_ids(name: str, cells: list[object]) -> None:
    assert isinstance(typed(cells, name), Column)
