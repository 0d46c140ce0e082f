"""The Parameter Generator's entry for texts: words and perhaps examples in, a head, its evidence and its honest score out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.child import Floats
from modelgpt_edge.errors import InputError
from modelgpt_edge.parameters.likelihood import smoothed_losses
from modelgpt_edge.parameters.score import Score, classification_score
from modelgpt_edge.parameters.text.head import Examples, Strength
from modelgpt_edge.parameters.text.judging import TEXTS, Afresh, Judgement, Menu, judge
from modelgpt_edge.parameters.text.lora import LoraGenerator, describe_task, require_fit, require_shipped
from modelgpt_edge.parameters.text.prior import word_prior
from modelgpt_edge.text_head import TextHead

Progress = Callable[[str, float], None]

GENERATORS = ("words", "linear", "floor", "lora")


@dataclass(frozen=True)
class TextScores:
    """Scores of the model, of examples without names on the plain encoder (`linear`, as tables have it), and of the baseline
    that knows the labels alone.
    """

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
        encoder: that the head is for: the one given, unless LoRA adapted it.
        generator: ``words`` (the prior alone), ``linear`` (examples alone), ``floor`` (examples, words as their prior), or
            ``lora`` (the floor, or words alone without examples, on an encoder that was adapted to the task).
        losses: of each generator on held-out examples, in nats; empty without examples.
        strength: how far examples moved the head; None for words alone.
        scores: on held-out examples; of no value without any.
        held_out: logits (N, K) of examples by heads that never saw them; truth: their classes (N,). Empty without any.
        seconds: time of generation, embedding included.
        adapter: sha256 of the file of the generator that adapted the encoder; None where none did.
        enough: whether held-out examples were enough to choose a generator by.
    """

    head: TextHead
    encoder: TextEncoder
    generator: str
    losses: dict[str, float]
    strength: Strength | None
    scores: TextScores
    held_out: Floats
    truth: NDArray[np.int32]
    seconds: float
    adapter: str | None = None
    enough: bool = True


@dataclass(frozen=True)
class _Seen:
    """An encoder, directions of the classes' words (D, K), and embeddings of the examples (N, D), as it has them."""

    encoder: TextEncoder
    prior: Floats
    embeddings: Floats


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
    adapter: LoraGenerator | None = None,
    afresh: Afresh | None = None,
    menu: Menu = TEXTS,
) -> TextGenerated:
    """Emit a head for classes.

    Args:
        texts: examples, perhaps none; labels: their class positions (N,).
        meanings: descriptions of classes by name.
        generator: of GENERATORS to overrule the guard, which ships what held-out examples find likeliest, or the floor where
            they are too few to tell. The guard considers LoRA where the generator that is installed says so.
        pairs: the second text of each example, for a task about pairs; words say nothing there, so examples alone count.
        adapter: the generator of LoRA; the one that is installed where not given.
        afresh, menu: as for `judge`: the first for an encoder that was made with these examples.

    Raises:
        InputError: a generator is asked for that there is nothing for, or LoRA for an encoder that it isn't for.
        TargetUnavailableError: LoRA is asked for, and no generator of it is installed.
    """
    start = time.perf_counter()
    _require_possible(generator, len(texts), pairs is not None)
    # Examples that leave classes out tell nothing of the whole task, and what adapts encoders never saw such.
    whole = not len(texts) or len(np.unique(labels)) == len(classes)
    lora = _adapter(generator, adapter, encoder, whole and pairs is None)
    with threadpool_limits(1, "blas"):
        if pairs is None:
            prior = word_prior(encoder, classes, meanings)
        else:
            prior = np.zeros((encoder.width(pairs=True), len(classes)), np.float32)
        embeddings = np.empty((0, len(prior)), np.float32)
        if len(texts):
            embeddings = encoder.embed(texts, pairs, progress=lambda share: progress("embedding", share))
        seen = _Seen(encoder, prior, embeddings)
        adapted = None if lora is None else _adapted(lora, seen, texts, classes, meanings, progress)
        if len(texts):
            progress("generating", 0)
            judgement = judge(embeddings, labels, prior, pairs is None, seed, menu=menu, afresh=afresh)
            if adapted is not None:  # no label was shown to what adapted the encoder: held-out examples judge it as any other
                held_out = judge(adapted.embeddings, labels, adapted.prior, True, seed, only="floor")
                judgement.by_name["lora"] = held_out.by_name["floor"]
            made = _solved(seen, adapted, labels, judgement, generator or _choose(judgement))
        else:
            made = _by_words(seen, adapted, labels, menu)
    used = lora.sha256 if lora is not None and made.generator == "lora" else None
    return replace(made, adapter=used, seconds=time.perf_counter() - start)


def _by_words(seen: _Seen, adapted: _Seen | None, labels: NDArray[np.int32], menu: Menu) -> TextGenerated:
    """The prior alone, on the adapted encoder where there is one."""
    last = adapted or seen
    head, name = _words(last.prior, menu.words_factor), "words" if adapted is None else "lora"
    nothing = np.empty((0, last.prior.shape[1]), np.float32)
    return TextGenerated(head, last.encoder, name, {}, None, UNKNOWN, nothing, labels, 0.0, enough=False)


def _solved(seen: _Seen, adapted: _Seen | None, labels: NDArray[np.int32], judgement: Judgement, chosen: str) -> TextGenerated:
    """The head of all examples by the generator that was chosen."""
    best, last = judgement.by_name[chosen], adapted if adapted is not None and chosen == "lora" else seen
    if best.strength is None:
        head = _words(last.prior, best.factor)
    else:
        examples = Examples.with_words(last.embeddings, labels, last.prior)
        head = examples.solve(last.prior, best.strength).scaled(best.factor)
    return TextGenerated(
        head=head,
        encoder=last.encoder,
        generator=chosen,
        losses={name: float(judged.loss) for name, judged in judgement.by_name.items()},
        strength=best.strength,
        scores=_scores(judgement, chosen),
        held_out=best.logits,
        truth=judgement.truth,
        seconds=0.0,
        enough=judgement.enough,
    )


def _adapter(generator: str | None, given: LoraGenerator | None, encoder: TextEncoder, usual: bool) -> LoraGenerator | None:
    """The generator of LoRA, where it is asked for, or where `usual` considers one that ships as a default."""
    if generator == "lora":
        asked = given or require_shipped()
        require_fit(asked, encoder)
        return asked
    if generator is not None or not usual:
        return None
    found = given or LoraGenerator.shipped()
    return found if found is not None and found.default and found.fits(encoder) else None


def _adapted(
    lora: LoraGenerator,
    seen: _Seen,
    texts: Sequence[str],
    classes: Sequence[str],
    meanings: Mapping[str, str],
    progress: Progress,
) -> _Seen:
    """The second pass: the same words and examples by the encoder that the first one's directions and embeddings adapt."""
    encoder = lora.adapt(seen.encoder, describe_task(seen.prior, seen.embeddings))
    embeddings = seen.embeddings
    if len(texts):
        embeddings = encoder.embed(texts, progress=lambda share: progress("embedding", share))
    return _Seen(encoder, word_prior(encoder, classes, meanings), embeddings)


def _require_possible(generator: str | None, examples: int, pairs: bool) -> None:
    if pairs and generator not in (None, "linear"):
        cure = "Leave out --generator: pairs are told apart by examples alone."
        raise InputError("words say nothing of pairs", where="--generator", seen=generator, cure=cure)
    if not examples and generator not in (None, "words", "lora"):
        cure = "Give --data with examples, or leave out --generator."
        raise InputError("this generator needs examples", where="--generator", seen=generator, cure=cure)


def _words(prior: Floats, factor: float) -> TextHead:
    return TextHead(prior, np.zeros(prior.shape[1], np.float32)).scaled(factor)


def _choose(judgement: Judgement) -> str:
    """The guard: what held-out examples find likeliest; if they are too few to tell, LoRA or else the floor, where they are.

    LoRA ships because it won on many tasks apart, which a few held-out examples outweigh only where they tell clearly: by more
    than one standard error of the difference.
    """
    names = judgement.by_name
    if not judgement.enough:
        for usual in ("lora", "floor"):
            if usual in names:
                return usual
    best = min(names, key=lambda name: names[name].loss)
    if "lora" not in names or best == "lora":
        return best
    gains = smoothed_losses(names["lora"].logits, judgement.truth) - smoothed_losses(names[best].logits, judgement.truth)
    return best if gains.mean() > gains.std(ddof=1) / np.sqrt(len(gains)) else "lora"


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
