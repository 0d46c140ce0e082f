"""Held-out examples choose how strong a head is and how sure, and few of them move neither far."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from modelgpt_edge.parameters.image.generate import PICTURES
from modelgpt_edge.parameters.text.head import Examples
from modelgpt_edge.parameters.text.judging import TEXTS, judge
from modelgpt_edge.parameters.text.prior import unit_columns

WIDTH = 64


def opinions(each: int, classes: int = 2, apart: float = 0.25, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings of classes that overlap: far less apart than their texts differ; labels; words that say a little."""
    draw = np.random.default_rng([seed, 1])
    places = np.random.default_rng(classes).normal(size=(classes, WIDTH))
    labels = np.tile(np.arange(classes, dtype=np.int32), each)
    rows = apart * places[labels] + draw.normal(size=(len(labels), WIDTH))
    embeddings = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return embeddings, labels, unit_columns((places + np.random.default_rng(2).normal(size=places.shape)).T.astype(np.float32))


def log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(-log_softmax(logits.astype(np.float64), 1)[np.arange(len(labels)), labels].mean())


def test_where_classes_overlap_a_strong_penalty_is_chosen_and_helps_on_texts_never_seen():
    embeddings, labels, words = opinions(64)
    chosen = judge(embeddings, labels, words, True, seed=0).by_name["floor"]
    usual = TEXTS.usual(2)
    assert chosen.strength.penalty == pytest.approx(100 * usual.penalty)
    fresh, truth, _ = opinions(500, seed=1)
    examples = Examples.with_words(embeddings, labels, words)
    found, as_usual = (examples.solve(words, strength).logits(fresh) for strength in (chosen.strength, usual))
    assert (found.argmax(1) == truth).mean() > (as_usual.argmax(1) == truth).mean() + 0.02
    assert log_loss(found * chosen.factor, truth) < 0.95 * np.log(2)


def test_where_a_small_difference_tells_them_apart_it_is_not():
    draw = np.random.default_rng(3)
    labels = np.tile(np.arange(2, dtype=np.int32), 100)
    rows = draw.normal(size=(200, WIDTH))
    rows[:, 0] = 0.1 * (2 * labels - 1) + 0.03 * draw.normal(size=200)
    embeddings = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    words = unit_columns(draw.normal(size=(WIDTH, 2)).astype(np.float32))
    assert (
        judge(embeddings, labels, words, True, seed=0).by_name["floor"].strength.penalty <= 5 * TEXTS.usual(2).penalty * 1.001
    )


@pytest.mark.parametrize(("classes", "share"), [(2, np.sqrt(0.2)), (5, np.sqrt(0.5)), (10, 1.0), (12, 1.0)])
def test_one_example_of_a_class_leaves_logits_as_sure_as_is_usual_for_so_many_classes(classes, share):
    embeddings, labels, words = opinions(1, classes)
    judgement = judge(embeddings, labels, words, True, seed=0)
    assert judgement.by_name["floor"].factor == pytest.approx(TEXTS.few_factor * share)
    assert judgement.by_name["words"].factor == TEXTS.words_factor
    assert not judgement.enough
    silent = judge(embeddings, labels, np.zeros_like(words), False, seed=0)
    assert silent.by_name["linear"].factor == TEXTS.few_factor


def likeliest(bare: np.ndarray, labels: np.ndarray, precision: float) -> float:
    """The logarithm of the factor that makes logits likeliest, under a normal of a precision, by SciPy in float64."""
    n = len(labels)

    def objective(log_factor: float) -> float:
        p = log_softmax(bare.astype(np.float64) * np.exp(log_factor), 1)
        # One pseudo-observation of unknown class, as in `smoothed_loss`.
        fits = (1 - 1 / n) * p[np.arange(n), labels] + p.mean(1) / n
        return -fits.sum() + precision / 2 * log_factor**2

    return minimize_scalar(objective, bounds=(-4, 4), method="bounded", options={"xatol": 1e-9}).x


@pytest.mark.parametrize("each", [2, 4, 30])
def test_more_calibrate_held_near_that_as_a_standard_normal_holds_the_logarithm(each):
    embeddings, labels, words = opinions(each)
    judgement = judge(embeddings, labels, words, True, seed=0)
    for name, usual in (("floor", TEXTS.usual_factor(2, spoken=True)), ("words", TEXTS.words_factor)):
        judged = judgement.by_name[name]
        best = likeliest(judged.logits / judged.factor * usual, labels, precision=1.0)
        assert np.log(judged.factor / usual) == pytest.approx(best, abs=3e-3)


def test_pictures_calibrate_from_five_of_a_class_on_and_then_freely():
    for each in (4, 6):
        embeddings, labels, words = opinions(each)
        judged = judge(embeddings, labels, words, True, seed=0, menu=PICTURES).by_name["floor"]
        usual = PICTURES.few_factor
        expected = 0.0 if each == 4 else likeliest(judged.logits / judged.factor * usual, labels, precision=0.0)
        assert np.log(judged.factor / usual) == pytest.approx(expected, abs=3e-3)
