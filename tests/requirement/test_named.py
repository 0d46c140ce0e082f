"""Which columns a sentence names as telling, and which it only mentions, asks for or rules out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modelgpt_edge.requirement.named import find_mentioned
from modelgpt_edge.requirement.requirement import Requirement

HEART = ["age", "gender", "cholesterol", "max HR", "restingBP", "income", "zip", "id", "is_smoker", "label"]
ODD = ["a", "in", "to", "class", "of", "x", "1", "2024", "x1", "time", "flash", "from", "not", "drop", "predict", "label", ""]
UNITS = ["sepal length (cm)", "petal widths", "heart_rate", "bloodpressure", "glucose_levels", "Age", "age", "y"]


def named(task: str, names: list[str], label: str) -> set[str]:
    return set(find_mentioned(task, names, label).named)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("predict heart disease from age, cholesterol and max HR", {"age", "cholesterol", "max HR"}),
        ("predict the label", set()),
        ("", set()),
        ("AGE, Cholesterol: predict the label!", {"age", "cholesterol"}),
        ("Predict label: age, gender", {"age", "gender"}),
        ("predict the label by ages and the patient's incomes", {"age", "income"}),
        ("predict the label given max-hr, resting bp, and whether one is a smoker", {"max HR", "restingBP", "is_smoker"}),
        ("predict the label from RestingBP", {"restingBP"}),
        ("predict the label from restingbp", {"restingBP"}),
        ("the label follows age. Income matters too", {"age", "income"}),
        ("use age and income to predict who does not pay", {"age", "income"}),
        ("predict which customers will not stay from age and income", {"age", "income"}),
        ("predict in no more than 5 ms from age", {"age"}),
        ("predict not only from age but also from income", {"age", "income"}),
        ("predict the label from manage and aged and agenda", set()),
    ],
)
def test_columns_are_named_by_their_words(task: str, expected: set[str]) -> None:
    assert named(task, HEART, "label") == expected


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("ignore the id", set()),
        ("predict the label from age; the id is just a row number", {"age"}),
        ("predict the label from age. The zip tells nothing", {"age"}),
        ("income is missing in most rows, so predict the label from age", {"age"}),
        ("predict the label from age by gender-neutral means", {"age"}),
        ("predict the label without age", set()),
        ("predict the label from age, not by gender", {"age"}),
        ("predict the label from everything except zip", set()),
        ("predict the label from all columns but age", set()),
        ("predict the label from everything but age", set()),
        ("Without gender, age or zip, predict the label from income and cholesterol", {"income", "cholesterol"}),
        ("don't use gender; predict the label from age", {"age"}),
        ("don\u2019t use gender; predict the label from age", {"age"}),
        ("dont use gender, use age", {"age"}),
        ("do not predict the label from gender", set()),
        ("never judge by gender, judge by age", {"age"}),
        ("not by age or by gender but by income", {"income"}),
        ("neither age nor gender tells, income does", set()),
        ("income rather than age, zip instead of gender", {"income"}),
        ("predict the label regardless of gender from age", {"age"}),
        ("ignore the id and use age", {"age"}),
        ("leave zip and gender out, use age", {"age"}),
        ("take age into account", {"age"}),
        ("Gender must not be used. Predict the label from age.", {"age"}),
        ("age, zip and gender are irrelevant. Income tells", {"income"}),
        ("predict the label with gender left out, from age", {"age"}),
        ("age (irrelevant) and income", {"income"}),
        ("zip: ignore", set()),
        ("Use: age, income. Excluded: id, zip", {"age", "income"}),
        ("Use:\n- age\nDo not use:\n- id\n- zip", {"age"}),
        ("predict from age. On second thoughts ignore age", set()),
        ("exclude e.g. zip", set()),
        ("predict the label, fair with respect to gender, from age", {"age"}),
    ],
)
def test_what_is_ruled_out_is_not_named(task: str, expected: set[str]) -> None:
    assert named(task, HEART, "label") == expected


@pytest.mark.parametrize(
    ("task", "names", "label", "expected"),
    [
        ("predict from heart age", ["age", "heart age", "y"], "y", {"heart age"}),
        ("predict from heart age and age", ["age", "heart age", "y"], "y", {"heart age", "age"}),
        ("predict y from the churn date", ["date", "churn date", "churn", "y"], "y", {"churn date"}),
        ("heart disease is told by the heart rate", ["heart", "disease", "heart_disease"], "heart_disease", {"heart"}),
        ("predict heart disease from vitals", ["heart", "disease", "target"], "target", set()),
        ("predict the price of a house from its area", ["house", "area", "price"], "price", {"area"}),
        ("predict diabetes by bmi", ["has_diabetes", "bmi"], "has_diabetes", {"bmi"}),
        ("predict species from sepal length", UNITS, "y", {"sepal length (cm)"}),
        ("predict species from sepal length (cm) and petal width", UNITS, "y", {"sepal length (cm)", "petal widths"}),
        ("predict y by heartrate, blood pressure and glucose level", UNITS, "y", set(UNITS[2:5])),
        ("predict y by age", UNITS, "y", {"Age", "age"}),
        ("predict y by age", ["age", "y"], "age", set()),
        ("Predict x from the No. of rooms, and the years with company", ["no_of_rooms", "years with company"], "x", None),
        ("alter by gr\u00f6\u00dfe", ["Gr\u00f6\u00dfe", "Alter"], "Alter", {"Gr\u00f6\u00dfe"}),
    ],
)
def test_the_longest_name_counts_and_the_label_never(
    task: str, names: list[str], label: str, expected: set[str] | None
) -> None:
    assert named(task, names, label) == (set(names) if expected is None else expected)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("predict the label in a class of its own, 1 ms, 64 kB flash, in time to x from 2024", set()),
        ("not to drop from: predict", set()),
        ("predict the label from x1", {"x1"}),
        ('predict the label from "x" and `time`', {"x", "time"}),
        ("predict the label from \u201cclass\u201d", {"class"}),
        ('predict the label from "x", not from "time"', {"x"}),
    ],
)
def test_plain_words_must_be_quoted(task: str, expected: set[str]) -> None:
    assert named(task, ODD, "label") == expected


def test_a_long_text_over_many_columns_is_read_to_its_limit() -> None:
    names = [*HEART, *(f"reading of sensor {i}" for i in range(5_000))]
    texts = ["not a ", "unused age ", "age, ", "leave age ", "x", "either or ", "don't use ", '"']
    for text in texts:
        assert named(text * (20_000 // len(text)), names, "label") <= {"age"}
    assert named("predict it from the reading of sensor 4999", names, "label") == {"reading of sensor 4999"}


def test_the_requirement_carries_what_the_sentence_names(
    understood: Callable[..., Requirement], flowers: dict[str, list[Any]]
) -> None:
    table = {**flowers, "id": list(range(30))}
    schema = understood("predict the species from petals and colour, the id and not the width", table).schema
    assert schema.named == ("colour", "petals")
    assert [c.named for c in schema.columns] == [False, False, True, True]
    assert not schema.label.named
    assert understood("predict the species", table).schema.named == ()


def test_cells_name_nothing(understood: Callable[..., Requirement], flowers: dict[str, list[Any]]) -> None:
    table = {**flowers, "colour": ["use length", "width matters", "predict from petals"] * 10}
    assert understood("predict the species from the width", table).schema.named == ("width",)
