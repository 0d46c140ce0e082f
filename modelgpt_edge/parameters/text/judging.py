"""Judge what could be emitted on held-out examples: words alone, examples alone, and examples with words as their prior.

Constants for texts were chosen on half of CLINC150's intents: whole, in drawn tasks of 3 and 10, and in tasks of the 8 and the
20 that are named most alike; those of pairs with an eye on MRPC. The strongest penalties, `pull` and `many_classes`, beside
some of those intents, on two and three classes of opinion (of airlines, goods, newspapers and tweets), where classes overlap
and names say little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.parameters.likelihood import smoothed_loss, temperature
from modelgpt_edge.parameters.text.head import Strength, held_out_logits, split_stratified

# For embeddings that have seen the examples themselves: their places (M,), the fold of each (M,) and strengths in; logits of
# words alone (M, K) and of every strength (S, M, K) out, by what never saw the fold.
Afresh = Callable[[Ints, Ints, Sequence[Strength]], tuple[Floats, Floats]]

FOLDS = 5
# Held-out scores of more examples than this cost more than they tell.
JUDGED = 2000


@dataclass(frozen=True)
class Menu:
    """What is tried on embeddings of a kind.

    Attributes:
        words_factor: of words alone, what turns cosines into logits; few_factor: the factor on logits of few examples of many
            classes.
        scale: of the prior; penalty: over the root of the classes' number.
        enough: from this many examples of the median class on, held-out likelihood chooses.
        calibrating: from this many on it calibrates; where a class has but one, its held-out one tells of its name alone.
        pull: how few examples are kept from making logits much surer or less sure than is usual: the logarithm of a factor over
            the usual one is a normal of variance 1 / (2 pull) beforehand.
        many_classes: from so many classes on, logits of few examples are as sure as `few_factor` says. Fewer are told less
            surely, by the root of their number: two or three may overlap, and then a sure head errs dearly.
        tried, alone, unspoken: scales and penalties as multiples of those, the usual ones first: of examples with words, of
            examples alone beside them, and of examples where words say nothing.
    """

    words_factor: float
    few_factor: float
    scale: float
    penalty: float
    enough: int
    calibrating: int
    pull: float
    many_classes: int
    tried: tuple[tuple[float, float], ...]
    alone: tuple[tuple[float, float], ...]
    unspoken: tuple[tuple[float, float], ...]

    def usual(self, classes: int) -> Strength:
        """How far examples move a head where there are too few to choose by."""
        return Strength(self.scale, self.penalty * float(np.sqrt(classes)))

    def usual_factor(self, classes: int, spoken: bool) -> float:
        """What logits of few examples are multiplied by; of pairs, of which words say nothing, always by the same."""
        return self.few_factor * (min(1.0, float(np.sqrt(classes / self.many_classes))) if spoken else 1.0)


# Words say nothing of what two texts have in common, so pairs have no scale.
TEXTS = Menu(
    words_factor=20.0,
    few_factor=2.5,
    scale=5.0,
    penalty=0.006,
    enough=5,
    calibrating=2,
    pull=0.5,
    many_classes=10,
    tried=((1.0, 1.0), (1.0, 5.0), (2.0, 1.0), (0.5, 100.0)),
    alone=((0.0, 0.3), (0.0, 3.0), (0.0, 100.0)),
    unspoken=((0.0, 1e4), (0.0, 1e3), (0.0, 1e5)),
)


@dataclass(frozen=True)
class Judged:
    """A generator on held-out examples.

    Attributes:
        strength: how far examples may move the head; None for words alone.
        factor: that its logits are multiplied by.
        loss: smoothed log loss in nats; logits: (N, K), multiplied already.
    """

    strength: Strength | None
    factor: float
    loss: float
    logits: Floats


@dataclass(frozen=True)
class Judgement:
    """Every generator on the same held-out examples.

    Attributes:
        by_name: the generators.
        places: (N,) of the examples, in order, among those that were given.
        truth: class positions (N,) of the examples; method: how they were held out, in words.
        enough: whether there are enough to choose by.
    """

    by_name: dict[str, Judged]
    places: NDArray[np.intp]
    truth: NDArray[np.int32]
    method: str
    enough: bool


def typical(counts: NDArray[np.integer]) -> float:
    """Examples of the median class, of those that have some; 0 where none has."""
    return float(np.median(counts[counts > 0])) if counts.any() else 0.0


def judge(
    embeddings: Floats,
    labels: NDArray[np.int32],
    prior: Floats,
    spoken: bool,
    seed: int,
    only: str | None = None,
    menu: Menu = TEXTS,
    afresh: Afresh | None = None,
) -> Judgement:
    """Hold examples out in turn.

    Args:
        prior: directions (D, K) of the classes' words; nil where not `spoken`, and examples alone are judged then.
        only: the one generator to judge, of those that are solved; all where not given.
        menu: what is tried.
        afresh: makes logits of held-out examples where `embeddings` and `prior` were made with them.
    """
    counts = np.bincount(labels, minlength=prior.shape[1])
    # A few examples can't judge: where a class has but one, its held-out one is served by its name alone.
    usually = typical(counts)
    enough = usually >= menu.enough
    pull = menu.pull if usually >= menu.calibrating else None
    usual = menu.usual(prior.shape[1])
    families = {"floor": menu.tried, "linear": menu.alone} if spoken else {"linear": menu.unspoken}
    tried = {
        name: [Strength(scale * usual.scale, penalty * usual.penalty) for scale, penalty in (some if enough else some[:1])]
        for name, some in families.items()
        if only in (None, name)
    }
    pick = np.arange(len(labels))
    if len(pick) > JUDGED:
        pick = np.sort(np.random.default_rng(seed).permutation(len(labels))[:JUDGED])
    x, y = embeddings[pick], labels[pick]
    strengths = [s for some in tried.values() for s in some]
    said = x @ prior
    if len(y) > 1:
        folds = min(FOLDS, len(y))
        fold = split_stratified(y, folds, seed)
        if afresh is None:
            logits = held_out_logits(x, y, prior, strengths, fold)
        else:
            said, logits = afresh(pick.astype(np.int32), fold, strengths)
        method = f"{folds}-fold cross-validation"
        if counts[counts > 0].min() == 1 and spoken:
            method += "; a class of one example is served by its name when that is held out"
    else:  # nothing is left to learn from when the only example is held out
        logits = np.broadcast_to(said, (len(strengths), 1, prior.shape[1]))
        method = "words alone on the only example"
    by_name = {"words": _calibrated(None, said, y, pull, menu.words_factor)} if spoken and only is None else {}
    few_factor = menu.usual_factor(prior.shape[1], spoken)
    for name, some in tried.items():
        mine = [_calibrated(s, logits[strengths.index(s)], y, pull, few_factor) for s in some]
        by_name[name] = min(mine, key=lambda one: one.loss)
    return Judgement(by_name, pick, y, method, enough)


def _calibrated(
    strength: Strength | None, logits: Floats, labels: NDArray[np.int32], pull: float | None, usual: float
) -> Judged:
    """Logits by the factor that makes them likeliest, pulled towards the usual one; by that where there is no pull to tell."""
    factor = usual
    if pull is not None:
        factor *= temperature(logits * np.float32(usual), labels, strength=pull)
    scaled = logits * np.float32(factor)
    return Judged(strength, factor, smoothed_loss(scaled, labels), scaled)
