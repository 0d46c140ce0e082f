"""Classes that options name: how they are read, and what is said of those that can't be."""

from __future__ import annotations

import pytest

from modelgpt_edge.errors import InputError
from modelgpt_edge.requirement.classes_asked import check_classes, read_classes, require_two, spelled_as


@pytest.mark.parametrize(
    ("listed", "described", "wanted"),
    [
        (None, [], {}),
        ("refund,card lost", [], {"refund": "", "card lost": ""}),
        (" refund ,\tcard  lost\n", [], {"refund": "", "card lost": ""}),
        ("b,a,c", [], {"b": "", "a": "", "c": ""}),
        ("a: b,c", [], {"a: b": "", "c": ""}),
        (None, ["spam: unsolicited: advertising", "ham"], {"spam": "unsolicited: advertising", "ham": ""}),
        (None, ["spam:", "ham :  mail from people "], {"spam": "", "ham": "mail from people"}),
        ("spam", ["ham: mail"], {"spam": "", "ham": "mail"}),
        ("取消订单,\U0001f600", [], {"取消订单": "", "\U0001f600": ""}),
        (None, ["time: 10:30 or 11:30, any day"], {"time": "10:30 or 11:30, any day"}),
    ],
)
def test_classes_are_read_in_the_order_given(listed, described, wanted):
    found = read_classes(listed, described)
    assert found == wanted
    assert list(found) == list(wanted)


@pytest.mark.parametrize(
    ("listed", "described", "option", "says"),
    [
        ("", [], "--classes", "a class has no name"),
        ("a,,b", [], "--classes", "a class has no name"),
        ("a,b,", [], "--classes", "a class has no name"),
        ("\x00\u200b,b", [], "--classes", "a class has no name"),
        (None, [": what it means"], "--class", "a class has no name"),
        (None, [""], "--class", "a class has no name"),
        ("a,A", [], "--classes", "a class is named twice (seen: 'A')"),
        ("Straße,STRASSE", [], "--classes", "a class is named twice"),
        ("a,b", ["B: again"], "--class", "a class is named twice (seen: 'B')"),
        ("a" * 201 + ",b", [], "--classes", "longer than 200 characters"),
    ],
)
def test_classes_that_cannot_be(
    listed,
    described,
    option,
    says,
):
    with pytest.raises(InputError) as told:
        read_classes(listed, described)
    assert says in str(told.value)
    assert str(told.value).startswith(f"{option}: ")


def test_a_name_of_200_characters_and_a_long_meaning_are_fine():
    found = read_classes("a" * 200 + ",b", ["c: " + "word " * 300])
    assert found["c"] == " ".join(["word"] * 300)
    assert len(next(iter(found))) == 200


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["a", "b"], {"a": "", "b": ""}),
        (("a: x", "b"), {"a: x": "", "b": ""}),
        ({"a": "first", "b": ""}, {"a": "first", "b": ""}),
        ([0, 1], {"0": "", "1": ""}),
        ("a, b", {"a": "", "b": ""}),
        ((), {}),
    ],
)
def test_the_api_takes_names_or_names_and_meanings(given, wanted):
    assert check_classes(given) == wanted


@pytest.mark.parametrize("given", [["a", ""], ["a", "a"], {"": "nothing"}, "a,", [None, "None"]])
def test_the_api_refuses_names_that_cannot_be(given):
    with pytest.raises(InputError):
        check_classes(given)


def test_there_are_2_to_200_classes():
    for count in (2, 200):
        require_two({f"class {i}": "" for i in range(count)})
    for count in (0, 1, 201):
        with pytest.raises(InputError, match="Name 2 to 200 classes"):
            require_two({f"class {i}": "" for i in range(count)})


def test_classes_are_spelled_as_the_data_has_them():
    asked = {"Refund": "money back", "CARD LOST": "", "other": ""}
    found, notes = spelled_as(asked, ["refund", "refunds", "card  lost"])
    assert found == {"refund": "money back", "card  lost": "", "other": ""}
    assert list(found) == ["refund", "card  lost", "other"]
    assert notes == ("Named in options and spelled as the data has it: Refund as refund and CARD LOST as card lost.",)


def test_of_two_labels_that_are_alike_none_is_taken_for_the_asked_one():
    assert spelled_as({"REFUND": "", "card": ""}, ["Refund", "refund", "card"]) == ({"REFUND": "", "card": ""}, ())
    assert spelled_as({"refund": ""}, ["Refund", "refund"]) == ({"refund": ""}, ())
