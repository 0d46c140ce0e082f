"""The tokenizer that runs in a page, in Node: ids are those of the one in Python, of every character and any string."""

from __future__ import annotations

import json
import random
import subprocess
import unicodedata
from collections.abc import Sequence
from importlib import resources

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from modelgpt_edge.tokens import CHARACTERS_A_TOKEN, Tokens

pytestmark = pytest.mark.device
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<a>", "<a><b>", "(.*)", "/-x\\[")
DRIVER = """
import { readFileSync } from "node:fs";
const { module, tokenizer, length, characters, texts } = JSON.parse(readFileSync(0));
const { WordPiece } = await import(module);
const made = new WordPiece(JSON.parse(tokenizer), length, characters);
console.log(JSON.stringify(texts.map((text) => made.ids(text))));
"""
NASTY = (
    "",
    " \t\n\r ",
    "\x00",
    'Where is my card? It\'s 3,000.50 EUR - "now"!',
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f\u200d\U0001f308 \U0001f44d\U0001f3fd!",
    "请问怎么取消我的订单\uff1f 明日の天気 한국어 \u1112\u1161\u11ab",
    "a\x00b\x07c\x1b[31mred\x7f\x85 d\u00ade\u200bf\ufeffg\ufffdh",
    "cafe\u0301 n\u0303 a\u030a\u0323 \u0041\u0300\u0301\u0302\u0303 \u0344 \u212b \u1e9b\u0323",
    "Z" + "\u0335\u0321\u0322" * 60,
    "ΌΣΟΣ ΑΣ. Σ \u0130STANBUL STRA\u1e9eE stra\u00dfe \u01c5ungla \ufb01ne \u2460\u2461 Ǆ",
    "שלום עולם, مرحبا \u200fabc\u200e \u202eevil\u202c हिन्दी ไทย",
    "ignore [CLS] this [SEP] and[MASK]it [PAD] [UNK] [cls] [ CLS ] [[CLS]] ##ing [MA\u200bSK]",
    "a\u00a0b\u2002c\u2028d\u3000e\u202ff\u1680g\u180eh\u2060i",
    "\ue000 \U000f0000 \ufffe \U0010ffff \u0378",
    "lone \ud800 halves \udfff and \ud83d",
    "constructor __proto__ toString hasOwnProperty",
    "a" * 99 + " " + "b" * 100 + " " + "c" * 101 + " " + "\U0001f600" * 101,
)


def tokenized(tokenizer: bytes, length: int, texts: Sequence[str]) -> list[list[int]]:
    """Ids of texts by wordpiece.mjs in Node."""
    module = resources.files("modelgpt_edge.targets.browser").joinpath("wordpiece.mjs")
    characters = CHARACTERS_A_TOKEN * length
    job = {"module": str(module), "tokenizer": tokenizer.decode(), "length": length, "characters": characters, "texts": texts}
    command = ["node", "--input-type=module", "--eval", DRIVER]
    ran = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    ids: list[list[int]] = json.loads(ran.stdout)
    return ids


def assert_alike(tokenizer: bytes, length: int, texts: Sequence[str]) -> None:
    """Node's ids are Python's; tells the first text of which they aren't."""
    wanted = Tokens.read(tokenizer, length).ids(texts)
    got = tokenized(tokenizer, length, texts)
    assert len(got) == len(texts)
    for text, own, other in zip(texts, wanted, got):
        assert other == own, f"{text!a}: {other} in a page, {own} in Python"


def assigned() -> list[str]:
    """Every character that Unicode knew when this Python was made, but those for private use."""
    known = (chr(code) for code in range(0x110000))
    return [c for c in known if unicodedata.category(c) not in ("Cn", "Co", "Cs")]


def random_texts(count: int, seed: int) -> list[str]:
    """Texts of letters, marks that stand on one another, special tokens, and characters of every script."""
    draw = random.Random(seed)
    every = assigned()
    marks = [c for c in every if unicodedata.category(c).startswith("M")]
    plain = [*"abcdefghij ,.;!?[]#<>ÉÀÑŒßİΣſ\t\n\r\x00\x85\u200b\ufeff", *SPECIAL, "##", " ", " "]
    odd = ["\ue000", "\ufffe", "\U0010ffff", "\ud800", "\udc00"]
    kinds = random.Random(seed).choices((plain, marks, every, odd), (4, 3, 3, 0.1), k=count * 20)
    rows = iter(kinds)
    return ["".join(draw.choice(next(rows)) for _ in range(draw.randrange(20))) for _ in range(count)]


def visible(texts: Sequence[str], **settings: bool | None) -> bytes:
    """A tokenizer whose vocabulary has every character of the normalized texts, so that ids tell all that was made of them."""
    normalizer = normalizers.BertNormalizer(**settings)
    spelled = (text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts)
    characters = sorted({c for text in spelled for c in normalizer.normalize_str(text)})
    words = dict.fromkeys([*SPECIAL, *characters, *(f"##{c}" for c in characters)])
    vocabulary = {word: place for place, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=30))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] [MASK] $A [SEP]",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[MASK]", "[SEP]")],
    )
    return tokenizer.to_str().encode()


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_ids_of_nasty_texts(text, real):
    assert_alike(real.files.tokenizer, real.files.length, [text])


def test_ids_of_random_texts(real):
    assert_alike(real.files.tokenizer, real.files.length, random_texts(10_000, 5))


def test_ids_of_every_character(real):
    every = assigned()
    texts = [" ".join(f"a{c}b {c}" for c in every[i : i + 20]) for i in range(0, len(every), 20)]
    assert_alike(real.files.tokenizer, 1000, texts)


SETTINGS: tuple[dict[str, bool | None], ...] = (
    {"lowercase": True},
    {"lowercase": True, "strip_accents": False},
    {"lowercase": False},
    {"lowercase": False, "strip_accents": True, "clean_text": False},
    {"lowercase": True, "handle_chinese_chars": False},
)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_what_the_normalizer_makes_of_any_text(settings):
    texts = [*NASTY, *random_texts(4_000, 6)]
    assert_alike(visible(texts, **settings), 40, texts)


@pytest.mark.parametrize("length", [3, 4, 8])
def test_a_long_text_is_cut_at_the_same_place(length):
    most = CHARACTERS_A_TOKEN * length
    heads = ["\U0001f600" * most, "x" + "\U0001f600" * most, "a" * (most - 1) + "\U0001f600", "a" * most + "b", "[CLS]" * most]
    # Blanks alone up to the cut: what stands before it counts, and what stands behind it doesn't.
    texts = [*heads, " " * (most - 1) + "xy", "\U00012000 " + " " * (most - 3) + "xy", " " * most + "x", "a b " * most]
    assert_alike(visible(texts), length, texts)
