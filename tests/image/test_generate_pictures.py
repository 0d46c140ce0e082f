"""Heads emitted for pictures: what each generator is, which one the guard takes, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from modelgpt_edge.architecture.image.scales import Scales
from modelgpt_edge.errors import InputError
from modelgpt_edge.parameters.image.generate import PICTURES, generate_pictures, scored
from modelgpt_edge.parameters.image.space import Space, Traits

CLASSES, WIDTH = 3, 24


def drawn(each: int, seed: int = 0, staged: bool = True) -> tuple[list[np.ndarray], np.ndarray]:
    """Channels of pictures whose last layer says a little of the class, and whose stage says it all."""
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), each).astype(np.int32)
    last = draw.gamma(2.0, size=(len(labels), WIDTH)) + 1.2 * np.eye(CLASSES, WIDTH)[labels]
    stage = draw.normal(size=(len(labels), 6)) + 6 * np.eye(CLASSES, 6)[labels]
    return [last.astype(np.float32), stage.astype(np.float32)][: 1 + staged], labels


@pytest.fixture
def prior() -> np.ndarray:
    """Directions that are right: the class's own channel."""
    directions = np.eye(WIDTH, CLASSES) - 1 / CLASSES * np.eye(WIDTH, CLASSES).sum(1, keepdims=True)
    return (directions / np.linalg.norm(directions, axis=0)).astype(np.float32)


def accuracy(generated, channels, labels) -> float:
    return float((generated.head.logits(generated.space.of(channels)).argmax(1) == labels).mean())


def test_names_alone_make_a_head(prior):
    channels, labels = drawn(50)
    made = generate_pictures([c[:0] for c in channels], labels[:0], prior, CLASSES)
    assert (made.generator, made.scores.child.value, len(made.space.blocks)) == ("words", None, 1)
    np.testing.assert_allclose(made.head.weight, PICTURES.words_factor * prior, rtol=1e-6)
    centred = generate_pictures([c[:0] for c in channels], labels[:0], prior, CLASSES, around=channels)
    assert accuracy(made, channels, labels) > 1.5 / CLASSES
    brighter = [channels[0] + np.float32(3) * np.eye(WIDTH, dtype=np.float32)[1], *channels[1:]]
    moved = generate_pictures([c[:0] for c in channels], labels[:0], prior, CLASSES, around=brighter)
    assert accuracy(moved, brighter, labels) > accuracy(made, brighter, labels) + 0.1
    np.testing.assert_allclose(centred.space.blocks[0].mean, np.sqrt(channels[0]).mean(0), rtol=1e-5)


def test_few_pictures_move_the_prior_and_cannot_choose(prior):
    channels, labels = drawn(2)
    made = generate_pictures(channels, labels, prior, CLASSES)
    assert made.generator == "floor"
    assert set(made.losses) == {"words", "linear", "floor"}
    asked, truth = drawn(100, seed=1)
    alone = generate_pictures(channels, labels, prior, CLASSES, generator="linear")
    assert accuracy(made, asked, truth) > accuracy(alone, asked, truth)


def test_enough_pictures_choose_and_find_the_stage_that_tells(prior):
    channels, labels = drawn(12)
    made = generate_pictures(channels, labels, prior, CLASSES)
    assert (made.generator, len(made.space.blocks)) == ("stages", 2)
    assert made.losses["stages"] == min(made.losses.values())
    asked, truth = drawn(100, seed=1)
    last = generate_pictures(channels[:1], labels, prior, CLASSES)
    assert accuracy(made, asked, truth) > accuracy(last, asked, truth) + 0.1


TRUNK = Traits(beside=Scales(np.ones(6, np.float32), np.ones(6, np.float32)))


@pytest.mark.parametrize(("each", "generator"), [(1, "floor"), (3, "floor"), (4, "shapes"), (12, "shapes")])
def test_a_trunk_that_tells_clearly_more_counts_more(each, generator, prior):
    channels, labels = drawn(each)
    made = generate_pictures(channels, labels, prior, CLASSES, traits=TRUNK)
    assert made.generator == generator
    lengths = [block.weight for block in made.space.blocks]
    assert lengths[1] / lengths[0] == pytest.approx(1.4 if generator == "shapes" else 0.6)
    assert ("shapes" in made.losses) == (each > 1)


@pytest.mark.parametrize("each", [2, 4, 12])
def test_a_trunk_that_tells_nothing_does_not(each, prior):
    (last, _), labels = drawn(each)
    noise = np.random.default_rng(8).normal(size=(len(labels), 6)).astype(np.float32)
    made = generate_pictures(
        [last + 3 * np.eye(CLASSES, WIDTH)[labels].astype(np.float32), noise], labels, prior, CLASSES, traits=TRUNK
    )
    assert made.generator != "shapes"


@pytest.mark.parametrize(("seed", "far", "chosen"), [(5, 0.45, "words"), (4, 0.8, "floor")])
def test_names_alone_must_be_clearly_better(seed, far, chosen, prior):
    """By chance names alone are often a little likelier on held-out pictures."""
    channels, labels = drawn(5, seed, staged=False)
    off = np.random.default_rng(1).normal(size=prior.shape).astype(np.float32)
    words = prior + far * off / np.linalg.norm(off, axis=0)
    made = generate_pictures(channels, labels, words / np.linalg.norm(words, axis=0), CLASSES)
    assert made.generator == chosen
    assert made.losses["words"] == min(made.losses.values())


def test_where_a_class_has_no_picture_the_others_choose_nothing(prior):
    channels, labels = drawn(12)
    shown = labels > 0
    made = generate_pictures([c[shown] for c in channels], labels[shown], prior, CLASSES, traits=TRUNK)
    assert made.generator == "floor"
    assert generate_pictures([c[shown] for c in channels], labels[shown], None, CLASSES, traits=TRUNK).generator == "linear"


def test_one_picture_of_each_class_gives_no_score(prior):
    channels, labels = drawn(1)
    made = generate_pictures(channels, labels, prior, CLASSES, traits=TRUNK)
    assert (made.scores.child.value, made.scores.linear.value, len(made.truth), len(made.places)) == (None, None, 0, 0)
    channels, labels = drawn(2)
    assert generate_pictures(channels, labels, prior, CLASSES, traits=TRUNK).scores.child.rows == 6


def test_names_alone_need_no_trunk_and_say_what_they_said_beside_it(prior):
    channels, labels = drawn(12)
    made = generate_pictures(channels, labels, prior, CLASSES, generator="words", traits=TRUNK)
    assert made.space.width == WIDTH
    assert (made.head.logits(made.space.of(channels)).argmax(1) == labels).mean() == pytest.approx(made.scores.child.value)


def test_a_head_of_pictures_alone_is_logistic_regression():
    channels, labels = drawn(20, staged=False)
    made = generate_pictures(channels, labels, None, CLASSES)
    assert (made.generator, set(made.losses)) == ("linear", {"linear"})
    embedded = Space.around(channels).of(channels)
    reference = LogisticRegression(C=1 / made.strength.penalty, tol=1e-10, max_iter=10_000).fit(embedded, labels)
    logits = made.head.logits(embedded)
    ours, theirs = (x - x.mean(1, keepdims=True) for x in (logits, reference.decision_function(embedded)))
    factor = (ours * theirs).sum() / (theirs * theirs).sum()
    np.testing.assert_allclose(ours, factor * theirs, atol=0.02 * np.abs(ours).max())


def test_the_same_seed_gives_the_same_head(prior):
    channels, labels = drawn(8)
    one, other = (generate_pictures(channels, labels, prior, CLASSES, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.head.weight, other.head.weight)


def test_test_pictures_give_the_score(prior):
    channels, labels = drawn(8)
    asked, truth = drawn(30, seed=2)
    made = scored(generate_pictures(channels, labels, prior, CLASSES), asked, truth, "the test pictures")
    assert made.scores.child.value == pytest.approx(accuracy(made, asked, truth))
    assert (made.scores.child.rows, made.scores.child.method) == (90, "the test pictures")


def test_what_it_is_held_against_is_scored_on_the_test_pictures_too(prior):
    """Pictures alone against the generator that is so; class shares are of the pictures that were learnt from."""
    channels, labels = drawn(8)
    kept = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[:5], np.flatnonzero(labels == 2)[:6]])
    channels, labels = [c[kept] for c in channels], labels[kept]
    asked, truth = drawn(30, seed=2)
    asked, truth = [c[25:] for c in asked], truth[25:]  # class 0 is the commonest there, and the rarest here
    made = generate_pictures(channels, labels, prior, CLASSES)
    held_out = made.scores.linear
    scores = scored(made, asked, truth, "the test pictures").scores
    alone = generate_pictures(channels, labels, prior, CLASSES, generator="linear")
    assert made.generator != "linear"
    assert scores.linear.value == pytest.approx(accuracy(alone, asked, truth))
    logits = alone.head.logits(alone.space.of(asked))
    reference = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(truth)), truth]
    assert scores.linear.others["log_loss"] == pytest.approx(reference.mean(), rel=1e-4)
    assert scores.linear.others["log_loss"] != pytest.approx(held_out.others["log_loss"], rel=1e-2)
    assert scores.baseline.value == pytest.approx(5 / 65)
    shares = (np.array([8, 5, 6]) + 0.5) / 20.5
    assert scores.baseline.others["log_loss"] == pytest.approx(-np.log(shares)[truth].mean(), rel=1e-5)
    assert {one.method for one in (scores.child, scores.linear, scores.baseline)} == {"the test pictures"}


def test_without_pictures_there_is_nothing_to_be_held_against(prior):
    channels, labels = drawn(4)
    made = generate_pictures([c[:0] for c in channels], labels[:0], prior, CLASSES)
    scores = scored(made, channels, labels, "the test pictures").scores
    assert (scores.child.rows, scores.linear.value, scores.baseline.value) == (12, None, None)


@pytest.mark.parametrize(
    ("generator", "pictures", "spoken", "says"),
    [
        ("floor", 6, False, "nothing is known of what the names say"),
        ("linear", 0, True, "this generator needs pictures"),
        (None, 0, False, "names alone say nothing without a sentence encoder"),
        ("stages", 6, True, "the backbone has no earlier stages"),
        ("shapes", 6, True, "no trunk stands beside this template"),
    ],
)
def test_what_there_is_nothing_for_is_refused(generator, pictures, spoken, says, prior):
    channels, labels = drawn(2, staged=False)
    with pytest.raises(InputError, match=says):
        generate_pictures(
            [c[:pictures] for c in channels], labels[:pictures], prior if spoken else None, CLASSES, generator=generator
        )
