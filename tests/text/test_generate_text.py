"""From words and examples to a head: what the shipped encoder makes of obvious sentences, and how the guard chooses."""

from __future__ import annotations

import numpy as np
import pytest

from modelgpt_edge.errors import InputError
from modelgpt_edge.parameters.likelihood import smoothed_loss
from modelgpt_edge.parameters.text.generate import TextGenerated, _choose, generate_text
from modelgpt_edge.parameters.text.judging import Judged, Judgement
from modelgpt_edge.parameters.text.prior import ABOUT, PROMPTS, sayings, texts_about, word_prior
from modelgpt_edge.requirement.wording import spoken_name

NOBODY = np.empty(0, np.int32)
BANK = ("card lost or stolen", "refund", "exchange rate", "change pin")
OBVIOUS = {
    "somebody took my wallet and my bank card is gone": 0,
    "I can't find my card anywhere": 0,
    "I want my money back for this purchase": 1,
    "when will I be refunded?": 1,
    "how many euros do I get for a dollar today": 2,
    "what rate do you use to convert currencies?": 2,
    "how do I set a new PIN number": 3,
    "i forgot my pin and need another": 3,
}
EXAMPLES = (
    ("my card was stolen on the train", 0),
    ("please block the card, i lost it", 0),
    ("i returned the shoes and want a refund", 1),
    ("give me the money back please", 1),
    ("dollar to yen, what is the rate", 2),
)


def split(examples: tuple[tuple[str, int], ...]) -> tuple[list[str], np.ndarray]:
    return [text for text, _ in examples], np.array([label for _, label in examples], np.int32)


def answers(generated: TextGenerated, texts) -> list[int]:
    found: list[int] = generated.head.logits(generated.encoder.embed(list(texts))).argmax(1).tolist()
    return found


@pytest.mark.parametrize("generator", ["words", "lora"])
def test_names_alone_tell_obvious_sentences_apart(generator, real):
    generated = generate_text(real, [], NOBODY, BANK, {}, generator=generator)
    assert answers(generated, OBVIOUS) == list(OBVIOUS.values())
    assert (generated.generator, generated.losses, generated.strength) == (generator, {}, None)
    assert generated.scores.child.value is None
    assert generated.held_out.shape == (0, 4)


def test_a_meaning_tells_what_a_name_does_not(real):
    meanings = {
        "A": "sports: football, tennis, the olympic games",
        "B": "cooking: recipes, ovens, ingredients",
        "C": "space: rockets, planets, telescopes",
    }
    texts = ["the goalkeeper saved a penalty", "bake the dough for an hour", "the probe reached the moons of Jupiter"]
    with_meanings = generate_text(real, [], NOBODY, tuple(meanings), meanings)
    assert answers(with_meanings, texts) == [0, 1, 2]
    without = word_prior(real, ("A", "B", "C"), {})
    assert np.abs(word_prior(real, ("A", "B", "C"), {"B": meanings["B"]}) - without).max(0).argmax() == 1


def test_a_class_without_examples_is_predicted_for_its_name(real):
    texts, labels = split(EXAMPLES)
    generated = generate_text(real, texts, labels, BANK, {})
    assert generated.generator == "floor", "too few to tell, and what adapts encoders never saw a class without any"
    assert answers(generated, ["change pin", *texts]) == [3, *labels]
    assert answers(generated, OBVIOUS) == list(OBVIOUS.values())


def test_few_examples_of_every_class_adapt_the_encoder(real):
    texts, labels = split((*EXAMPLES, ("i want another pin code", 3)))
    generated = generate_text(real, texts, labels, BANK, {})
    assert generated.generator == "lora"
    assert set(generated.losses) == {"words", "linear", "floor", "lora"}
    assert answers(generated, OBVIOUS) == list(OBVIOUS.values())


def test_few_examples_are_no_reason_to_leave_the_usual_generator(real):
    texts, labels = split(EXAMPLES)
    generated = generate_text(real, texts, labels, BANK, {})
    assert set(generated.losses) == {"words", "linear", "floor"}
    assert generated.scores.child.method.startswith("5-fold cross-validation; a class of one example")
    assert generated.truth.tolist() == labels.tolist()
    assert generated.held_out.shape == (5, 4)


def _judgement(**losses: list[float]) -> Judgement:
    """Generators by the log loss of each held-out example of two classes, all of the first."""
    by_name = {}
    for name, each in losses.items():
        p = np.exp(-np.array(each, np.float64))
        logits = np.log(np.stack([p, 1 - p], 1)).astype(np.float32)
        by_name[name] = Judged(None, 1.0, smoothed_loss(logits, np.zeros(len(each), np.int32)), logits)
    return Judgement(by_name, np.arange(len(each)), np.zeros(len(each), np.int32), "", enough=True)


@pytest.mark.parametrize(
    ("losses", "chosen"),
    [
        ({"lora": [0.5, 0.5, 0.5, 0.5], "floor": [0.6, 0.6, 0.6, 0.6]}, "lora"),
        ({"lora": [0.5, 0.5, 0.5, 0.9], "floor": [0.6, 0.6, 0.6, 0.2]}, "lora"),
        ({"lora": [0.5, 0.6, 0.5, 0.6], "floor": [0.3, 0.4, 0.4, 0.3]}, "floor"),
        ({"floor": [0.5, 0.5, 0.5, 0.9], "words": [0.6, 0.6, 0.6, 0.2]}, "words"),
    ],
    ids=["likeliest", "not clearly worse", "clearly worse", "no LoRA"],
)
def test_lora_is_left_only_for_what_is_clearly_likelier(losses, chosen):
    assert _choose(_judgement(**losses)) == chosen


def test_labels_that_names_contradict_are_learned_by_examples_alone(real):
    """Names that mislead: enough examples show it on held-out texts, and the guard drops the words."""
    texts = [f"{text}{end}" for text in OBVIOUS for end in ("", " please", " today", ", thank you", " asap")]
    labels = np.repeat([(label + 1) % 4 for label in OBVIOUS.values()], 5).astype(np.int32)
    generated = generate_text(real, texts, labels, BANK, {})
    assert generated.losses["words"] == max(generated.losses.values())
    assert generated.losses[generated.generator] == min(generated.losses.values())
    assert answers(generated, texts) == labels.tolist()


def test_one_example_in_all_makes_a_model(real):
    generated = generate_text(real, [EXAMPLES[0][0]], np.zeros(1, np.int32), BANK, {})
    assert generated.scores.child.method == "words alone on the only example"
    assert answers(generated, OBVIOUS) == list(OBVIOUS.values())


def test_classes_of_very_different_size_are_both_predicted(real):
    texts = [f"what is the exchange rate of {code}" for code in map(str, range(120))] + ["i lost my card"]
    labels = np.array([1] * 120 + [0], np.int32)
    generated = generate_text(real, texts, labels, ("card lost", "exchange rate"), {})
    assert answers(generated, ["my card is lost", "the rate of the yen"]) == [0, 1]


def test_the_same_examples_give_the_same_bytes(tiny, sentences):
    labels = np.array([0, 1, 0, 2, 1, 2], np.int32)
    first, second = (generate_text(tiny, sentences, labels, ("a", "b", "c"), {}, seed=4) for _ in range(2))
    assert first.head.to_bytes(("a", "b", "c")) == second.head.to_bytes(("a", "b", "c"))
    assert first.held_out.tobytes() == second.held_out.tobytes()
    assert first.losses == second.losses


@pytest.mark.parametrize("generator", ["words", "linear", "floor"])
def test_the_user_overrules_the_guard(generator, tiny, sentences):
    labels = np.array([0, 1, 0, 2, 1, 2], np.int32)
    generated = generate_text(tiny, sentences, labels, ("a", "b", "c"), {}, generator=generator)
    assert generated.generator == generator
    assert (generated.strength is None) == (generator == "words")
    assert generated.scores.child.value is not None


@pytest.mark.parametrize("generator", ["linear", "floor"])
def test_without_examples_there_is_nothing_for_other_generators(generator, tiny):
    with pytest.raises(InputError, match="this generator needs examples"):
        generate_text(tiny, [], NOBODY, ("a", "b"), {}, generator=generator)


def test_progress_tells_of_embedding_and_generating(tiny, sentences):
    told = []
    generate_text(tiny, sentences, np.array([0, 1] * 3, np.int32), ("a", "b"), {}, progress=lambda *at: told.append(at))
    assert told == [("embedding", 1.0), ("generating", 0)]


@pytest.mark.parametrize(
    ("name", "spoken"),
    [
        ("card_arrival", "card arrival"),
        ("cardArrival", "card Arrival"),
        ("top-up/failed.why", "top up failed why"),
        ("HTTP", "HTTP"),
        ("___", "___"),
        ("请问", "请问"),
        ("0", "0"),
    ],
)
def test_a_name_is_said_as_people_would(name, spoken):
    assert spoken_name(name) == spoken


def test_directions_of_words_are_of_unit_length_and_from_all_prompts(tiny):
    prior = word_prior(tiny, ("lost_card", "refund"), {})
    np.testing.assert_allclose(np.linalg.norm(prior, axis=0), 1, atol=1e-6)
    mean = tiny.embed([prompt.format("lost card") for prompt in PROMPTS]).mean(0)
    np.testing.assert_allclose(prior[:, 0], mean / np.linalg.norm(mean), atol=1e-6)


def test_braces_in_a_name_are_text(tiny):
    assert np.isfinite(word_prior(tiny, ("{}", "{0.__class__}", "a {b} c"), {"{}": "{x}"})).all()


def test_texts_about_classes_are_none_that_the_prior_is_made_of():
    meanings = {"refund": "money back"}
    said = texts_about(("lost_card", "refund"), meanings)
    assert said[:3] == ["money back", "lost card", "refund"]
    assert len(set(said)) == len(said) == 1 + 2 * len(ABOUT)
    assert not set(said[1:]) & {text for name in ("lost_card", "refund") for text in sayings(name, meanings.get(name, ""))}
