"""Labels of texts that are spelled like a missing value: when they are a class, and how they are read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelgpt_edge.data.profile import profile
from modelgpt_edge.data.sources import open_source
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.none_labels import read_labels
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.requirement.text_columns import find_texts
from modelgpt_edge.requirement.text_rules import write_text_requirement


def understood(labels: list[Any], classes: tuple[str, ...] = ()) -> Requirement:
    table = {"text": [f"i am asking about thing {i} since day {i * 7}" for i in range(len(labels))], "label": labels}
    request = Request("sort texts", table, classes=dict.fromkeys(classes, ""))
    facts = profile(open_source(table), 0)
    return write_text_requirement(request, find_texts((), None, request.task, facts), facts)


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        (["spam"] * 12 + ["none"] * 12, (), ("none", "spam")),
        (["spam"] * 20 + ["ham"] * 5 + ["None"] * 5, (), ("None", "ham", "spam")),
        (["spam"] * 20 + ["ham"] * 5 + ["none"] * 4, (), ("ham", "spam")),
        (["US"] * 9 + ["NA"] * 9 + ["EU"] * 9, (), ("EU", "NA", "US")),
        (["spam"] * 20 + ["ham"] * 5 + ["none"] * 1, ("spam", "ham", "None"), ("spam", "ham", "None")),
        (["spam"] * 12 + ["ham"] * 12 + ["none"] * 20, ("spam", "ham"), ("spam", "ham")),
        ([1, 2, 3] * 8 + ["NA"] * 10, (), ("1", "2", "3")),
        ([True, False] * 8 + ["none"] * 10, (), ("false", "true")),
        (["spam"] * 12 + ["ham"] * 12 + [""] * 20, (), ("ham", "spam")),
        (["spam"] * 12 + ["ham"] * 12 + [None] * 20, (), ("ham", "spam")),
        (["spam"] * 12 + ["ham"] * 12 + ["#N/A"] * 20, (), ("ham", "spam")),
    ],
)
def test_a_word_is_a_class_where_it_is_named_or_as_common_as_another(labels, classes, expected):
    assert understood(labels, classes).schema.classes == expected


def test_a_note_tells_what_was_made_of_it():
    taken = understood(["spam"] * 12 + ["none"] * 12).notes
    assert any(n.startswith("none is taken as a class") and "leave its 12 rows out of the file" in n for n in taken)
    left = understood(["spam"] * 20 + ["ham"] * 20 + ["NA"] * 3).notes
    assert "3 rows labelled NA count as without a label: --classes can name it." in left


def test_labels_are_read_as_the_classes_are_spelled():
    cells = ["spam", " NONE ", "none", "", None, float("nan"), "NA", "1.0"]
    assert read_labels(cells, ("None", "spam")) == ["spam", "None", "None", "", "", "", "", "1"]
    assert read_labels(cells, ("spam",)) == ["spam", "", "", "", "", "", "", "1"]
    assert read_labels(np.array(["none", "spam"]), ("none",)) == ["none", "spam"]
