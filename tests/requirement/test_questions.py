"""Labels of tasks that ask a question or are a mere heading, and those that stay a guess."""

from __future__ import annotations

import pytest

from modelgpt_edge.requirement.label import find_label
from modelgpt_edge.requirement.questions import find_in_question

LOANS = ["approved", "loan_id", "income", "purpose"]
HEART = ["disease", "age", "sex", "cholesterol"]


@pytest.mark.parametrize(
    ("task", "names", "label"),
    [
        ("Should this loan be approved?", LOANS, "approved"),
        ("loan approval", LOANS, "approved"),
        ("Will it be approved, given the income?", LOANS, "approved"),
        ("disease y/n, cholesterol + age matter most", HEART, "disease"),
        ("Does the patient have the disease?", HEART, "disease"),
        ("Disease detection for our clinic by age", HEART, "disease"),
        ("How old is the person?", HEART, "age"),
        ("which intent does a message have", ["intent", "length"], "intent"),
        ("What plan suits which customer?", ["plan", "customer_age"], "plan"),
        ("How much is a house worth?", ["price", "rooms"], "price"),
        ("How much does it cost", ["unit_price", "weight"], "unit_price"),
        ("How much does it weigh?", ["unit_price", "weight"], "weight"),
        ("will they pass", ["passed", "school"], "passed"),
        ("recommend crops", ["crop", "county"], "crop"),
        ("Sentiment of reviews", ["stars", "sentiment"], "sentiment"),
        ("who leaves?", ["churn", "region"], None),
        ("how old they are matters", HEART, None),
        ("age and cholesterol are what matters to us in this matter", HEART, None),
        ("predict it from age", HEART, None),
        ("classify", ["classic", "age"], None),
        ("", HEART, None),
        ("how much is it worth", ["list_price", "sale_price"], None),
    ],
)
def test_what_a_task_is_about(task: str, names: list[str], label: str | None) -> None:
    assert find_in_question(task, names) == label


def test_free_text_and_files_are_no_labels(profiled) -> None:
    table = {
        "stars": [1, 2, 3, 4, 5] * 6,
        "comment": [f"it was fine, number {i}" for i in range(30)],
        "picture": [f"{i}.jpg" for i in range(30)],
    }
    columns = profiled(table).columns
    found = find_label(None, "Classify comments by stars", columns)
    assert found.notes == ("The task's text speaks of comment, which is no label (free text: 100% of its cells differ).",)
    assert find_label(None, "Guess how many stars a comment gives", columns).profile.name == "stars"
    assert "picture, which is no label" in find_label(None, "detect what is in the picture", columns).notes[0]
    assert find_label("comment", "", columns).profile.name == "comment"  # the user's word stands
