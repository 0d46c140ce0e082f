from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modelgpt_edge.errors import InputError
from modelgpt_edge.requirement.requirement import Requirement

Understood = Callable[..., Requirement]
Table = dict[str, list[Any]]


def table(*names: str, empty: tuple[str, ...] = ()) -> Table:
    """A table whose every column could be the label: 0 and 1, not all alike."""
    columns = {name: [int((i + 1) % (k + 2) == 0) for i in range(24)] for k, name in enumerate(names)}
    return columns | {name: [None] * 24 for name in empty}


@pytest.mark.parametrize(
    ("task", "names", "label", "because"),
    [
        ("predict b", ("a", "b", "label"), "b", "task's text"),
        ("predict the price of each house", ("price", "size", "age"), "price", "task's text"),
        ("Classify each patient, target: sick", ("sick", "age", "weight"), "sick", "task's text"),
        ("predict it", ("a", "target", "b"), "target", "usual"),
        ("predict it", ("Class", "b"), "Class", "usual"),
        ("predict it", ("a", " Y ", "b"), "Y", "usual"),
        ("predict it", ("a", "OUTCOME", "b"), "OUTCOME", "usual"),
        ("predict it", ("species", "target", "b"), "target", "usual"),
        ("predict it", ("a", "b", "c"), "c", "last"),
        ("", ("a", "b"), "b", "last"),
    ],
)
def test_which_column_is_the_label(understood: Understood, task: str, names: tuple[str, ...], label: str, because: str) -> None:
    schema = understood(task, table(*names)).schema
    assert schema.label.name == label
    assert because in schema.label_because
    assert label not in [c.name for c in schema.columns]


def test_an_empty_last_column_is_no_label(understood: Understood) -> None:
    assert understood("", table("a", "b", empty=("c",))).schema.label.name == "b"


def test_rivals_for_the_label_are_told(understood: Understood) -> None:
    requirement = understood("", table("species", "a", "target"))
    assert any("target is the label and species is an input" in note for note in requirement.notes)


@pytest.mark.parametrize("asked", ["Heart Disease", "heart disease", " Heart  Disease ", "heart_disease", "HeartDisease"])
def test_the_label_option_forgives_case_and_spacing(understood: Understood, asked: str) -> None:
    requirement = understood("predict age", table("Heart Disease", "age", "x"), label=asked)
    assert requirement.schema.label.name == "Heart Disease"
    noted = any("for --label" in note for note in requirement.notes)
    assert noted == (asked != "Heart Disease")


def test_an_exact_label_wins_over_a_close_one(understood: Understood) -> None:
    requirement = understood("", table("Age", "age", "AGE", "x"), label="age")
    assert requirement.schema.label.name == "age"
    assert requirement.schema.label_because == "--label names it"


def test_an_ambiguous_label_is_refused(understood: Understood) -> None:
    with pytest.raises(InputError, match="several columns") as caught:
        understood("", table("Age", "AGE", "x"), label="age")
    assert "'Age' or 'AGE'" in caught.value.cure


@pytest.mark.parametrize(("asked", "offered"), [("tagret", "'target'"), ("ages", "'age'"), ("zzz", "Known"), ("", "Known")])
def test_an_unknown_label_is_refused_with_the_nearest(understood: Understood, asked: str, offered: str) -> None:
    with pytest.raises(InputError, match="no column has this name") as caught:
        understood("predict target", table("age", "target"), label=asked)
    assert offered in caught.value.cure


def test_a_label_without_values_is_refused(understood: Understood) -> None:
    with pytest.raises(InputError, match=r"label column y .*none of the 24 rows has a label"):
        understood("", table("a", "b", empty=("y",)))


def test_a_single_labelled_row_is_refused(understood: Understood) -> None:
    with pytest.raises(InputError, match="only one row has a label"):
        understood("", {"a": [1, 2, 3], "y": ["x", None, ""]})
    with pytest.raises(InputError, match="only one row has a label"):
        understood("", {"a": [1], "y": ["x"]})


def test_a_table_of_the_label_alone_is_refused(understood: Understood) -> None:
    with pytest.raises(InputError, match=r"no column is left .*no other column"):
        understood("", {"y": [0, 1] * 10})


def test_a_table_without_useful_columns_is_refused_with_the_reasons(understood: Understood) -> None:
    columns = {"id": list(range(30)), "same": ["x"] * 30, "none": [None] * 30, "y": [0, 1] * 15}
    with pytest.raises(InputError, match=r"id: .*same: .*none: "):
        understood("", columns)
