"""Token ids are those of transformers' fast tokenizer, of any string at all."""

from __future__ import annotations

# ruff: noqa: RUF001 - marks of other scripts belong to them
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelgpt_edge.errors import PackageError
from modelgpt_edge.tokens import CHARACTERS_A_TOKEN, NO_TOKEN, Tokens, by_length, clean, codes_of, padded

NASTY = {
    "empty": "",
    "blanks": "  \t\n   ",
    "emoji with joiners": "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f\u200d\U0001f308 \U0001f44d\U0001f3fd!",
    "CJK": "请问怎么取消我的订单？ 明日の天気 한국어",
    "controls": "a\x00b\x07c\x1b[31mred\x7f\x85 d\u00ade\u200bf\ufeffg",
    "NUL alone": "\x00",
    "combining marks": "cafe\u0301 n\u0303 a\u030a\u0323 \u0041\u0300\u0301\u0302\u0303",
    "stacked marks": "Z" + "\u0335\u0321\u0322" * 60,
    "ten thousand characters": "the film was very good and boring, " * 286,
    "one long word": "a" * 10_000,
    "mixed scripts": "Привет мир, γειά σου Κόσμε, hello ǅungla ﬁne ①②",
    "right to left": "שלום עולם, مرحبا بالعالم \u200fabc\u200e \u202eevil\u202c",
    "case that grows": "İSTANBUL STRAẞE straße ŒUVRE",
    "special tokens typed by a user": "ignore [CLS] this [SEP] and [MASK] [PAD] [UNK] [cls] ##ing",
    "numbers": "1,249.50 EUR, 3.14e-10, 0x1F, ½ of ١٢٣, 10^6",
    "addresses": "https://example.com/a?b=c&d=%20#e mailto:x@y.org C:\\temp\\x.txt",
    "blanks of other kinds": "a\u00a0b\u2002c\u2028d\u3000e\u202ff",
    "private and unassigned": "\ue000 \U000f0000 \ufffe \U0010ffff",
}


@pytest.fixture(scope="module")
def reference(real) -> Any:
    """transformers' tokenizer of the real encoder."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(real.files.folder))


def ids_of(reference: Any, text: str, length: int) -> list[int]:
    ids: list[int] = reference(text, truncation=True, max_length=length)["input_ids"]
    return ids


@pytest.mark.parametrize("name", NASTY)
def test_ids_are_those_of_transformers(name, real, reference):
    assert real.tokens.ids([NASTY[name]]) == [ids_of(reference, NASTY[name], real.files.length)]


@given(st.text(max_size=300))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ids_of_any_text_are_those_of_transformers(real, reference, text):
    assert real.tokens.ids([text]) == [ids_of(reference, text, real.files.length)]


def test_ids_in_a_batch_are_those_alone(real):
    texts = list(NASTY.values())
    assert real.tokens.ids(texts) == [real.tokens.ids([text])[0] for text in texts]


def test_the_tiny_tokenizer_cuts_at_its_own_length_and_keeps_the_end(tiny, tiny_encoder):
    from transformers import PreTrainedTokenizerFast

    reference = PreTrainedTokenizerFast(tokenizer_file=str(tiny_encoder / "tokenizer.json"))
    text = "i want my card back " * 40
    (ids,) = tiny.tokens.ids([text])
    assert ids == ids_of(reference, text, 64)
    assert len(ids) == 64
    assert ids[-1] == ids_of(reference, "x", 64)[-1]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\ud800b", "a\ufffdb"),
        ("\udfff", "\ufffd"),
        ("x\ud83d", "x\ufffd"),
        ("\ud83d\ude00", "\U0001f600"),  # two halves that belong together, as some JSON writers leave them
        ("\U0001f600 é", "\U0001f600 é"),
    ],
)
def test_lone_surrogates_are_replaced(text, cleaned, real):
    assert clean(text) == cleaned
    assert real.tokens.ids([text]) == real.tokens.ids([cleaned])


class Watched:
    """A tokenizer that remembers what it was given."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer, self.given = tokenizer, 0

    def encode_batch(self, texts: list[str]) -> Any:
        self.given += sum(map(len, texts))
        return self.tokenizer.encode_batch(texts)


def test_of_a_megabyte_only_a_bounded_start_is_tokenized(real):
    text = "the quick brown fox " * 52_429
    watched = Watched(real.tokens._tokenizer)
    (ids,) = Tokens(real.tokens.length, watched).ids([text])
    assert watched.given == CHARACTERS_A_TOKEN * real.tokens.length < len(text) / 50
    assert ids == real.tokens.ids([text[:2000]])[0]


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b'{"version": "1.0", "model": {"type": "Nonsense"}}'])
def test_what_is_no_tokenizer_is_refused(content):
    with pytest.raises(PackageError, match="the tokenizer can't be read"):
        Tokens.read(content, 8)


def test_padding_follows_the_end_of_each_text():
    assert padded([[5, 6], [], [7, 8, 9]]).tolist() == [[5, 6, -1], [-1, -1, -1], [7, 8, 9]]
    assert padded([]).shape[0] == 0
    assert padded([[1]]).dtype == np.int32


def test_of_a_pair_the_second_text_is_raised_by_the_vocabulary(tiny):
    words = tiny.files.shape.words
    (codes,) = codes_of(tiny.tokens, ["my card"], ["refund it please"], words)
    first, second = tiny.tokens.ids(["my card", "refund it please"])
    assert codes.tolist() == [*first, *(token + words for token in second)]
    assert max(first + second) < words


def _sums(codes: np.ndarray) -> np.ndarray:
    """Something of each row alone: how many tokens it has, their sum, and the first."""
    return np.stack([(codes != NO_TOKEN).sum(1), np.where(codes != NO_TOKEN, codes, 0).sum(1), codes[:, 0]], 1).astype(
        np.float32
    )


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_by_length_gives_each_row_what_it_gets_alone(lengths, extra):
    ids = [[100 * row + place for place in range(length)] for row, length in enumerate(lengths)]
    codes = np.pad(padded(ids), ((0, 0), (0, extra + 1)), constant_values=NO_TOKEN)
    widths = []

    def run(part: np.ndarray) -> np.ndarray:
        widths.append(part.shape[1])
        assert (part != NO_TOKEN).all() or part.shape[1] == 1, "texts of one length have no padding"
        return _sums(part)

    outputs = by_length(codes, run)
    alone = [_sums(codes[i : i + 1])[0] for i in range(len(codes))]
    assert outputs.tolist() == [row.tolist() for row in alone]
    assert len(outputs) == len(lengths)


def test_by_length_bounds_what_runs_at_once():
    rows = []
    by_length(np.zeros((300, 40), np.int32), lambda part: rows.append(len(part)) or _sums(part))
    assert sum(rows) == 300
    assert max(rows) * 40 <= 1024


def test_texts_in_any_order_have_the_same_embeddings(tiny, sentences):
    texts = [*sentences, "", *sentences]
    whole = tiny.embed(texts)
    alone = np.concatenate([tiny.embed([text]) for text in texts])
    np.testing.assert_allclose(whole, alone, atol=1e-6)
    order = np.random.default_rng(0).permutation(len(texts))
    np.testing.assert_allclose(tiny.embed([texts[i] for i in order]), whole[order], atol=1e-6)
    assert tiny.embed([]).shape == (0, tiny.width())
