from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from modelgpt_edge.errors import InputError
from modelgpt_edge.requirement.requirement import Requirement

Understood = Callable[..., Requirement]

WORDS = ["yes", "no", "maybe"] * 10
BOOLEANS = [True, False, False] * 10
FEW = [3, 4, 5] * 10
MANY = [i * i for i in range(30)]
FRACTIONS = [0.5 + i for i in range(30)]
DATES = [f"2024-01-{i + 1:02}" for i in range(30)]
MOSTLY = [1.5 * i for i in range(29)] + ["unknown"]


def table(label: list[Any]) -> dict[str, list[Any]]:
    return {"x": [math.sin(i) for i in range(len(label))], "y": label}


@pytest.mark.parametrize(
    ("task", "label", "kind", "because"),
    [
        ("predict y", WORDS, "classification", "words"),
        ("predict y", BOOLEANS, "classification", "booleans"),
        ("predict y", ["true", "False", "TRUE"] * 10, "classification", "booleans"),
        ("predict y", FEW, "classification", "3 distinct"),
        ("predict y", ["3", "4.0", "5"] * 10, "classification", "3 distinct"),
        ("predict y", [0.0, 1.0] * 15, "classification", "2 distinct"),
        ("predict y", [0, 1], "classification", "2 distinct"),
        ("predict y", MANY, "regression", "more than 20"),
        ("predict y", list(range(20)), "regression", "hardly repeat"),
        ("predict y", [0, 1, 2], "regression", "hardly repeat"),
        ("predict y", FRACTIONS, "regression", "fractions"),
        ("predict y", [1.5, 2.5] * 15, "regression", "fractions"),
        ("predict y", DATES, "regression", "dates"),
        ("predict y", MOSTLY, "regression", "fractions"),
        ("predict y", ["1,5", "2,5", "3,25"] * 10, "regression", "fractions"),
        ("predict y", [*FEW[:29], "-"], "classification", "whole numbers"),
        ("predict y", ["+", "-"] * 15, "classification", "words"),
        ("classify y", MANY, "classification", '"classify"'),
        ("Classification of y", FRACTIONS, "classification", '"classification"'),
        ("a classifier for y", FEW, "classification", '"classifier"'),
        ("categorize y", FEW, "classification", '"categorize"'),
        ("logistic regression of y", FEW, "classification", '"logistic regression"'),
        ("linear regression of y", FEW, "regression", '"regression"'),
        ("regress y on x", FEW, "regression", '"regress"'),
        ("a regressor for y", MANY, "regression", '"regressor"'),
        ("how much is it", FEW, "regression", '"how much"'),
        ("how many are there", FEW, "regression", '"how many"'),
        ("estimate the price of a house", FEW, "regression", "price"),
        ("predict the median house price", FEW, "regression", "price"),
        ("predict prices", FEW, "regression", "prices"),
        ("predict the number of rings", FEW, "regression", "number"),
        ("predict house price class", FEW, "classification", "3 distinct"),
        ("predict the age group", FEW, "classification", "3 distinct"),
        ("predict quality from price", FEW, "classification", "3 distinct"),
        ("predict whether the price rises", FEW, "classification", "3 distinct"),
        ("how much, yes or no", WORDS, "classification", "words"),
        ("how many defaults", [0, 1] * 15, "classification", "2 distinct"),
        ("predict which regression tests fail", [0, 1] * 15, "classification", "2 distinct"),
        ("predict y, no regression please", FEW, "classification", "3 distinct"),
        ("declassified documents", MANY, "regression", "more than 20"),
        ("price of classified ads", MANY, "regression", "more than 20"),
        ("the class of regressions_total", MANY, "regression", "more than 20"),
        ("not classification but a regression", MANY, "regression", "more than 20"),
    ],
)
def test_the_kind_and_its_rule(understood: Understood, task: str, label: list[Any], kind: str, because: str) -> None:
    schema = understood(task, table(label)).schema
    assert schema.kind == kind
    assert because in schema.kind_because
    assert bool(schema.classes) == (kind == "classification")
    read_as = {"classification": "category", "regression": "date" if label is DATES else "number"}
    assert schema.label.type == read_as[kind]


def test_the_option_overrides_task_and_cells(understood: Understood) -> None:
    assert understood("classify y", table(FEW), kind="regression").schema.kind == "regression"
    assert understood("a regression", table(MANY), kind=" Classification ").schema.kind == "classification"
    assert understood("", table(FEW), kind="regression").schema.kind_because == "--kind regression"


def test_an_unknown_kind_is_refused_with_both_named(understood: Understood) -> None:
    with pytest.raises(InputError, match=r"--kind: unknown kind \(seen: 'clustering'\). Pass classification or regression"):
        understood("", table(FEW), kind="clustering")


@pytest.mark.parametrize("options", [{"kind": "regression"}, {}])
@pytest.mark.parametrize(("label", "why"), [(WORDS, "30 of 30 labels are words"), (BOOLEANS, "booleans")])
def test_regression_on_words_is_refused(understood: Understood, options: dict[str, str], label: list[Any], why: str) -> None:
    task = "" if options else "a regression of y"
    with pytest.raises(InputError, match=why) as caught:
        understood(task, table(label), **options)
    assert "--kind classification" in caught.value.cure


def test_a_few_odd_cells_among_numbers_are_noted(understood: Understood) -> None:
    notes = understood("", table(MOSTLY)).notes
    assert any("1 cells of the label such as unknown are no numbers" in note for note in notes)


def test_dates_are_learned_as_days(understood: Understood) -> None:
    requirement = understood("", table(DATES))
    assert requirement.schema.label.date_format == "iso"
    assert any("days since 1970" in note for note in requirement.notes)


def test_a_decimal_comma_is_kept_for_the_label(understood: Understood) -> None:
    assert understood("", table(["1,5", "2,5", "3,25"] * 10)).schema.label.decimal == ","


def test_both_words_in_the_task_are_noted(understood: Understood) -> None:
    assert any("both classification and regression" in n for n in understood("classify or regression?", table(FEW)).notes)


@pytest.mark.parametrize(
    ("label", "classes"),
    [
        ([10, 9, 8, 10, 9, 8] * 4, ("8", "9", "10")),
        (["10", "9.0", "-1"] * 10, ("-1", "9", "10")),
        (["b", "a", "B"] * 10, ("B", "a", "b")),
        (["10", "9", "x"] * 10, ("10", "9", "x")),
        (["<=50K", ">50K"] * 10, ("<=50K", ">50K")),
        (BOOLEANS, ("false", "true")),
        (["+", "-"] * 10, ("+", "-")),
        ([0, 1, "-", 1, 0, 1, 0, 1, 0, 1], ("0", "1")),
        (["é", "e\u0301", "a"] * 10, ("a", "é")),
    ],
)
def test_classes_are_sorted_by_value_or_text(understood: Understood, label: list[Any], classes: tuple[str, ...]) -> None:
    assert understood("classify y", table(label)).schema.classes == classes


def test_a_class_seen_once_is_allowed_and_noted(understood: Understood) -> None:
    requirement = understood("", table([*WORDS, "never"]))
    assert "never" in requirement.schema.classes
    assert any("Seen once only" in n and "never" in n for n in requirement.notes)


def test_many_classes_seen_once_are_noted_in_short(understood: Understood) -> None:
    notes = understood("classify y", table([f"c{i}" for i in range(12)] + WORDS)).notes
    assert any("and 7 more" in n for n in notes)


@pytest.mark.parametrize("label", [["x"] * 30, [1] * 30, ["x", None] * 15, [True] * 30])
def test_one_class_is_refused_and_named(understood: Understood, label: list[Any]) -> None:
    with pytest.raises(InputError, match=r"label column y: there is one class only \(seen: '(x|1|true)'\)"):
        understood("", table(label))


@pytest.mark.parametrize(("label", "why"), [([1.5] * 30, "same number"), ([math.inf] * 30, "no label is finite")])
def test_a_constant_amount_is_refused(understood: Understood, label: list[Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        understood("", table(label), kind="regression")


def test_too_many_classes_are_refused_with_a_cure(understood: Understood) -> None:
    assert len(understood("", table([f"c{i % 200}" for i in range(400)])).schema.classes) == 200
    with pytest.raises(InputError, match="201 classes are more than the 200") as caught:
        understood("", table([f"c{i % 201}" for i in range(402)]))
    assert caught.value.cure.startswith("Group the classes")
    with pytest.raises(InputError, match="classes are more than") as caught:
        understood("classify y", table(list(range(500))))
    assert "--kind regression" in caught.value.cure


def test_words_beyond_counting_are_too_many_classes(understood: Understood) -> None:
    with pytest.raises(InputError, match=r"about 1[0-9],[0-9]{3} classes"):
        understood("", table([f"name {i}" for i in range(12_000)]))
