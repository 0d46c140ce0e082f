"""Emit the table of a tiny model: what a sentence encoder makes of each piece of a word, turned so that sums of them come near
to what it makes of the user's own texts and of ways to say the classes. No label is read here.

With f the teacher and P a piece's frequency by Zipf's law, rows begin as  e = (f(piece) - mean) a / (a + P)  (SIF, Arora et al.
2017); u(t) is the sum over a text's pieces at unit length. M minimises  sum_t ||u(t) M - f(t)||^2 + lambda ||M - 1||^2, and the
table is  e M V  in 8 bits, V the main directions of f(t).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.architecture.text.pieces import Vocabulary, sums
from modelgpt_edge.architecture.text.tiny import MOST_BYTES, SIZES, Size, TableFiles, TableShape, rounded
from modelgpt_edge.cache import cached, keep
from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.parameters.text.head import ROUGH, Examples, Strength
from modelgpt_edge.parameters.text.judging import TEXTS, Afresh
from modelgpt_edge.parameters.text.prior import sayings, word_prior
from modelgpt_edge.tokens import Tokens

# a and lambda; chosen, as the sizes were, on half of CLINC150's intents.
FREQUENT, RIDGE = 2e-3, 0.2
# Sums of pieces are less sure than a teacher's embeddings: the same is tried, but logits of few examples count for less.
MENU = replace(TEXTS, words_factor=12.0, few_factor=1.6)
# User's texts that a table is turned by, and the share of the largest eigenvalue below which a direction is noise.
LEARNT, NOISE = 4_000, 1e-6
# Pieces that are embedded between two reports of progress.
REPORT = 1_024

Progress = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a table is made from; shape letters: V rows, D the teacher's width, T texts.

    Attributes:
        teacher: the sentence encoder.
        size: that was chosen; tokenizer: bytes of the table's own.
        rows: (V, D), the unknown piece's first and nil.
        own: (V,) whether a piece is kept for the user's texts' sake.
        texts: (T,) user's texts, then ways to say the classes; embedded: (T, D) what the teacher makes of them.
        said: how many of them are ways to say the classes.
    """

    teacher: TextEncoder
    size: Size
    tokenizer: bytes
    rows: Floats
    own: NDArray[np.bool_]
    texts: tuple[str, ...]
    embedded: Floats
    said: int

    def encoder(self, unseen: frozenset[str] = frozenset()) -> TextEncoder:
        """The tiny encoder, as if some texts had not been there."""
        ids = Tokens.read(self.tokenizer, self.teacher.files.length).ids(self.texts)
        first = len(self.texts) - self.said
        seen = np.array([place >= first or text not in unseen for place, text in enumerate(self.texts)])
        pieces = [own for own, here in zip(ids, seen) if here]
        table = self.rows @ _turn(sums(pieces, self.rows), self.embedded[seen], self.size.width)
        known = np.zeros(len(table), bool)
        known[np.fromiter({piece for own in pieces for piece in own}, np.int64)] = True
        table[self.own & ~known] = 0
        return _encoder_of(self.teacher, self.tokenizer, rounded(table))


def prepare_tiny(
    teacher: TextEncoder,
    texts: Sequence[str],
    classes: Sequence[str],
    meanings: Mapping[str, str],
    most_bytes: int | None = None,
    seed: int = 0,
    progress: Progress = lambda stage, share: None,
) -> Lesson:
    """Choose the size of a table and get ready what it is made from.

    Args:
        texts: the user's, perhaps none, of pairs both.
        meanings: descriptions of classes by name.
        most_bytes: that a variant may take; the smallest size is taken where none is small enough.

    Raises:
        InputError: the teacher's tokenizer isn't WordPiece.
    """
    vocabulary = Vocabulary.of(teacher.files)
    different = list(dict.fromkeys(texts))
    if len(different) > LEARNT:
        pick = np.sort(np.random.default_rng([seed, 6]).permutation(len(different))[:LEARNT])
        different = [different[i] for i in pick]
    said = [text for name in classes for text in sayings(name, meanings.get(name, ""))]
    learnt = (*different, *said)
    counts = Counter(piece for ids in teacher.tokens.ids(learnt) for piece in ids)
    most = min(MOST_BYTES, most_bytes if most_bytes is not None else MOST_BYTES)
    for size in SIZES:
        kept = vocabulary.chosen(counts, size.pieces)
        tokenizer = vocabulary.tokenizer(kept)
        if size.bytes(len(kept) + 1, len(tokenizer), len(classes)) <= most:
            break
    usual = frozenset(vocabulary.usual(size.pieces))
    return Lesson(
        teacher=teacher,
        size=size,
        tokenizer=tokenizer,
        rows=_rows(teacher, vocabulary, kept, progress),
        own=np.array([False, *(place not in usual for place in kept)]),
        texts=learnt,
        embedded=teacher.embed(learnt, progress=lambda share: progress("embedding", share)),
        said=len(said),
    )


def judge_afresh(
    lesson: Lesson,
    texts: Sequence[str],
    pairs: Sequence[str] | None,
    labels: NDArray[np.int32],
    classes: Sequence[str],
    meanings: Mapping[str, str],
) -> Afresh:
    """Makes held-out logits by tables that never saw the texts held out; for `judge`."""

    def held_out(pick: Ints, fold: Ints, strengths: Sequence[Strength]) -> tuple[Floats, Floats]:
        said = np.empty((len(pick), len(classes)), np.float32)
        logits = np.empty((len(strengths), *said.shape), np.float32)
        both = (texts,) if pairs is None else (texts, pairs)
        for f in np.unique(fold):
            out = fold == f
            encoder = lesson.encoder(frozenset(column[i] for column in both for i in pick[out]))
            asked, given = (encoder.embed(*([column[i] for i in rows] for column in both)) for rows in (pick[out], pick[~out]))
            prior = np.zeros((asked.shape[1], len(classes)), np.float32)
            if pairs is None:
                prior = word_prior(encoder, classes, meanings)
            said[out] = asked @ prior
            examples = Examples.with_words(given, labels[pick[~out]], prior)
            for s, strength in enumerate(strengths):
                logits[s, out] = examples.solve(prior, strength, ROUGH).logits(asked)
        return said, logits

    return held_out


def _turn(summed: Floats, wanted: Floats, width: int) -> Floats:
    """M V (D, R): from sums (T, D) to what is wanted (T, D), in at most `width` directions."""
    one = RIDGE * np.eye(summed.shape[1])
    exact = np.linalg.solve(summed.T.astype(np.float64) @ summed + one, summed.T.astype(np.float64) @ wanted + one)
    squared, directions = np.linalg.eigh(wanted.T.astype(np.float64) @ wanted)
    rank = min(width, int((squared > squared[-1] * NOISE).sum()))
    return (exact @ directions[:, ::-1][:, :rank]).astype(np.float32)


def _encoder_of(teacher: TextEncoder, tokenizer: bytes, table: Floats) -> TextEncoder:
    words, width = table.shape
    files = teacher.files
    name = f"{files.name}, {words:,} pieces x {width}"
    shape = TableShape.sized(words, width, files.length)
    return TextEncoder.of(TableFiles(name, files.folder, shape, "mean", files.length, tokenizer, table))


def _rows(teacher: TextEncoder, vocabulary: Vocabulary, kept: Sequence[int], progress: Progress) -> Floats:
    """Rows of the pieces kept (V, D), that of the unknown one first and nil."""
    usual = vocabulary.usual(SIZES[0].pieces)
    known = dict(zip(usual, _usual(teacher, vocabulary, usual, progress)))
    mean = np.stack(list(known.values())).mean(0)
    others = [place for place in kept if place not in known]
    known |= dict(zip(others, _embed(teacher, vocabulary, others, progress)))
    shares = np.array([vocabulary.frequency[place] for place in kept], np.float32)[:, None]
    rows = (np.stack([known[place] for place in kept]) - mean) * (FREQUENT / (FREQUENT + shares))
    return np.concatenate([np.zeros((1, rows.shape[1]), np.float32), rows.astype(np.float32)])


def _usual(teacher: TextEncoder, vocabulary: Vocabulary, usual: Sequence[int], progress: Progress) -> Floats:
    """What the teacher makes of usual pieces (V, D), kept in the user's cache: thousands of them take seconds."""
    asked = hashlib.sha256(repr((teacher.files.sha256, usual)).encode()).hexdigest()
    name = f"pieces-{asked[:32]}.safetensors"
    kept = cached(name)
    if kept is not None and (read := _read(kept, (len(usual), teacher.width()))) is not None:
        return read
    # As the cache stores them, so that the first build is like the next ones.
    found = _embed(teacher, vocabulary, usual, progress).astype(np.float16)
    keep(name, save({"pieces": found}))
    return found.astype(np.float32)


def _read(content: bytes, shape: tuple[int, int]) -> Floats | None:
    """What was kept; None where it is damaged."""
    try:
        found = load(content)["pieces"]
    except (SafetensorError, KeyError):
        return None
    return found.astype(np.float32) if found.shape == shape and np.isfinite(found).all() else None


def _embed(teacher: TextEncoder, vocabulary: Vocabulary, ids: Sequence[int], progress: Progress) -> Floats:
    """What the teacher makes of single pieces (N, D), each a text of its own."""
    if not ids:
        return np.empty((0, teacher.width()), np.float32)
    word = next(place for place in vocabulary.pieces if teacher.tokens.ids([vocabulary.pieces[place]])[0].count(place) == 1)
    whole = teacher.tokens.ids([vocabulary.pieces[word]])[0]
    codes = vocabulary.codes(whole, whole.index(word), ids)
    parts = []
    for start in range(0, len(codes), REPORT):
        parts.append(teacher.embed_codes(codes[start : start + REPORT]))
        progress("embedding", min(1.0, (start + REPORT) / len(codes)))
    return np.concatenate(parts)
