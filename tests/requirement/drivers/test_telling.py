"""Words that say what a text is about, in six languages."""

from __future__ import annotations

import pytest

from modelgpt_edge.requirement.drivers.telling import holds, telling_words, tells


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("predict heart disease from a patient's vitals", {"heart", "disease", "patient", "vital"}),
        ("Predict it from what they say, please, under 5 ms on a Jetson Orin Nano", set()),
        ("which customers will leave us? judge by their charges", {"customer", "leave", "judge", "charge"}),
        ("sage voraus, welche Kunden kündigen werden", {"kunden", "kundigen"}),
        ("prédis le prix des maisons à partir de la surface", {"prix", "maison", "surface"}),
        ("clasifica los mensajes por su tono", {"mensaje", "tono"}),
        ("prevedi se il cliente paga, in base al reddito", {"cliente", "paga", "reddito"}),
        ("预测客户是否流失", {"客户", "流失"}),
        ("12345 examples", set()),
    ],
)
def test_telling_words(text, told):
    assert telling_words(text) == told


@pytest.mark.parametrize("name", ["left", "card lost", "ham", "spam", "churn_flag", "流失", "time", "size"])
def test_names_that_say_something(name):
    assert tells(name)


@pytest.mark.parametrize("name", ["label", "Target", "y", "no", "yes", "1", "2021", "a", "class", "", "other"])
def test_names_that_say_nothing(name):
    assert not tells(name)


def test_names_are_held_as_whole_words():
    assert holds("Tell who has Card-Lost.", "card_lost")
    assert not holds("Tell who has cards lost.", "card lost")
    assert holds("判断客户会不会流失。", "流失")
    assert not holds("anything", "")
