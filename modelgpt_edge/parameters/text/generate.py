"""The Parameter Generator's entry for texts: words and perhaps examples in, a head, its evidence and its honest score out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.child import Floats
from modelgpt_edge.errors import InputError
from modelgpt_edge.parameters.score import Score, classification_score
from modelgpt_edge.parameters.text.head import Examples, Strength
from modelgpt_edge.parameters.text.judging import WORDS_FACTOR, Judgement, judge
from modelgpt_edge.parameters.text.prior import word_prior
from modelgpt_edge.text_head import TextHead

Progress = Callable[[str, float], None]

GENERATORS = ("words", "linear", "floor")


@dataclass(frozen=True)
class TextScores:
    """Scores of the model, of examples without words, and of the baseline that knows the labels alone."""

    child: Score
    linear: Score
    baseline: Score


_UNSCORED = Score("accuracy", None, None, None, "nothing: no examples were given", 0)
UNKNOWN = TextScores(_UNSCORED, _UNSCORED, _UNSCORED)


@dataclass(frozen=True)
class TextGenerated:
    """A head and what is known about it.

    Attributes:
        head: logits of embeddings, calibrated.
        generator: ``words`` (the prior alone), ``linear`` (examples alone) or ``floor`` (examples, words as their prior).
        losses: of each generator on held-out examples, in nats; empty without examples.
        strength: how far examples moved the head; None for words alone.
        scores: on held-out examples; of no value without any.
        held_out: logits (N, K) of examples by heads that never saw them; truth: their classes (N,). Empty without any.
        seconds: time of generation, embedding included.
    """

    head: TextHead
    generator: str
    losses: dict[str, float]
    strength: Strength | None
    scores: TextScores
    held_out: Floats
    truth: NDArray[np.int32]
    seconds: float


def generate_text(
    encoder: TextEncoder,
    texts: Sequence[str],
    labels: NDArray[np.int32],
    classes: Sequence[str],
    meanings: Mapping[str, str],
    seed: int = 0,
    progress: Progress = lambda stage, share: None,
    generator: str | None = None,
    pairs: Sequence[str] | None = None,
) -> TextGenerated:
    """Emit a head for classes.

    Args:
        texts: examples, perhaps none; labels: their class positions (N,).
        meanings: descriptions of classes by name.
        generator: of GENERATORS to overrule the guard, which ships what held-out examples find likeliest, or the floor where
            they are too few to tell.
        pairs: the second text of each example, for a task about pairs; words say nothing there, so examples alone count.

    Raises:
        InputError: a generator is asked for that there is nothing for.
    """
    start = time.perf_counter()
    _require_possible(generator, len(texts), pairs is not None)
    with threadpool_limits(1, "blas"):
        if pairs is None:
            prior = word_prior(encoder, classes, meanings)
        else:
            prior = np.zeros((encoder.width(pairs=True), len(classes)), np.float32)
        if not len(texts):
            head = _words(prior, WORDS_FACTOR)
            nothing = np.empty((0, len(classes)), np.float32)
            return TextGenerated(head, "words", {}, None, UNKNOWN, nothing, labels, time.perf_counter() - start)
        embeddings = encoder.embed(texts, pairs, progress=lambda share: progress("embedding", share))
        progress("generating", 0)
        judgement = judge(embeddings, labels, prior, pairs is None, seed)
        chosen = generator or _choose(judgement)
        best = judgement.by_name[chosen]
        if best.strength is None:
            head = _words(prior, best.factor)
        else:
            head = Examples.with_words(embeddings, labels, prior).solve(prior, best.strength).scaled(best.factor)
    losses = {name: float(judged.loss) for name, judged in judgement.by_name.items()}
    scores = _scores(judgement, chosen)
    seconds = time.perf_counter() - start
    return TextGenerated(head, chosen, losses, best.strength, scores, best.logits, judgement.truth, seconds)


def _require_possible(generator: str | None, examples: int, pairs: bool) -> None:
    if pairs and generator not in (None, "linear"):
        cure = "Leave out --generator: pairs are told apart by examples alone."
        raise InputError("words say nothing of pairs", where="--generator", seen=generator, cure=cure)
    if not examples and generator not in (None, "words"):
        cure = "Give --data with examples, or leave out --generator."
        raise InputError("this generator needs examples", where="--generator", seen=generator, cure=cure)


def _words(prior: Floats, factor: float) -> TextHead:
    return TextHead(prior, np.zeros(prior.shape[1], np.float32)).scaled(factor)


def _choose(judgement: Judgement) -> str:
    """The guard: what held-out examples find likeliest; the floor, where there is one, if they are too few to tell."""
    names = judgement.by_name
    if not judgement.enough and "floor" in names:
        return "floor"
    return min(names, key=lambda name: names[name].loss)


def _scores(judgement: Judgement, chosen: str) -> TextScores:
    truth, method = judgement.truth, judgement.method
    child, linear = (judgement.by_name[name].logits for name in (chosen, "linear"))
    return TextScores(
        classification_score(child, truth, method),
        classification_score(linear, truth, method),
        classification_score(shares_of(truth, child.shape[1]), truth, method),
    )


def shares_of(labels: NDArray[np.int32], classes: int) -> Floats:
    """What a baseline that knows the labels alone always says: log shares of the classes, a row for each label (N, K)."""
    counts = np.bincount(labels[labels >= 0], minlength=classes).astype(np.float32) + np.float32(0.5)
    return np.broadcast_to(np.log(counts / counts.sum()), (len(labels), classes))
