"""The tiny model of texts: graph and table against their equations, its tokenizer against the whole one, when it is made."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

import modelgpt_edge
from modelgpt_edge.architecture.text.bert import COSINE
from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.architecture.text.files import read_encoder
from modelgpt_edge.architecture.text.pieces import Vocabulary, sums
from modelgpt_edge.architecture.text.products import Products
from modelgpt_edge.architecture.text.tiny import SIZES, TABLE, Size, rounded
from modelgpt_edge.errors import InputError
from modelgpt_edge.limits import Limits
from modelgpt_edge.onnx_nodes import Graph
from modelgpt_edge.parameters.text import tiny as tiny_module
from modelgpt_edge.parameters.text.head import Strength
from modelgpt_edge.parameters.text.tiny import FREQUENT, RIDGE, _turn, judge_afresh, prepare_tiny
from modelgpt_edge.text_templates import least_bytes

CLASSES = ("card_lost", "refund", "rate")
WORDS = 9_000


@pytest.fixture(scope="module")
def lesson(tiny: TextEncoder, sentences):
    return prepare_tiny(tiny, sentences, CLASSES, {"rate": "what a euro costs"})


@pytest.fixture(scope="module")
def many_words(write_encoder, tmp_path_factory) -> TextEncoder:
    """An encoder of random weights with thousands of words, as real ones have."""
    folder: Path = write_encoder(tmp_path_factory.mktemp("encoders") / "many")
    description = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = description["model"]["vocab"]
    vocabulary |= {f"word{i}": len(vocabulary) + i for i in range(WORDS)}
    (folder / "tokenizer.json").write_text(json.dumps(description))
    weights = load_file(folder / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    weights[name] = np.random.default_rng(1).normal(size=(len(vocabulary), weights[name].shape[1])).astype(np.float32)
    save_file(weights, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": len(vocabulary)}))
    return TextEncoder.of(read_encoder(folder, "many"))


def unit(rows: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)


def pooled(encoder: TextEncoder, texts: Any) -> np.ndarray:
    """Sums of the table's rows in float64, at unit length."""
    table = encoder.weights[TABLE].astype(np.float64)
    return unit(np.stack([table[ids].sum(0) if ids else np.zeros(table.shape[1]) for ids in encoder.tokens.ids(texts)]))


def test_a_text_is_the_sum_of_its_pieces(lesson, sentences):
    encoder = lesson.encoder()
    texts = [*sentences, "", "  ", "qqq zzz", "my card is lost " * 100]
    np.testing.assert_allclose(encoder.embed(texts), pooled(encoder, texts), atol=1e-6)
    np.testing.assert_allclose(encoder.embed(texts[:1]), sums(encoder.tokens.ids(texts[:1]), encoder.weights[TABLE]), atol=1e-6)
    assert not encoder.embed([""]).any()
    assert encoder.codes(["my card is lost " * 100]).shape == (1, encoder.files.length)


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("template", ["table", "encoder"])
def test_every_constant_of_a_graph_is_used(template, pairs, lesson, tiny):
    encoder = lesson.encoder() if template == "table" else tiny
    graph = Graph("g")
    graph.output(encoder.add_to(graph, Products("fp32"), pairs), "embedding", "float32", encoder.width(pairs))
    made = graph.model("").graph
    used = {name for node in made.node for name in node.input}
    assert {constant.name for constant in made.initializer} <= used


def test_of_a_pair_it_tells_what_they_have_in_common(lesson, sentences):
    encoder = lesson.encoder()
    first, second = [*sentences[:3], ""], [*sentences[2:5], "x"]
    u, v = pooled(encoder, first), pooled(encoder, second)
    width = u.shape[1]
    cosine = COSINE * (u * v).sum(1, keepdims=True)
    wanted = np.concatenate([cosine, np.sqrt(width) * u * v, np.sqrt(width) / 2 * np.abs(u - v)], 1)
    np.testing.assert_allclose(encoder.embed(first, second), wanted, atol=1e-5)


def test_rows_are_those_of_the_equations(tiny, lesson, sentences):
    vocabulary = Vocabulary.of(tiny.files)
    place = next(p for p, piece in vocabulary.pieces.items() if piece == "card")
    alone = [tiny.embed([piece])[0] for piece in ("card", "money")]
    rows = {name: lesson.rows[1 + sorted(vocabulary.pieces).index(p)] for p, name in vocabulary.pieces.items()}
    weight = FREQUENT / (FREQUENT + vocabulary.frequency[place])
    other = FREQUENT / (FREQUENT + next(vocabulary.frequency[p] for p, piece in vocabulary.pieces.items() if piece == "money"))
    np.testing.assert_allclose(rows["card"] / weight - rows["money"] / other, alone[0] - alone[1], atol=4e-3)  # kept in float16
    assert not lesson.rows[0].any()
    shares = [vocabulary.frequency[p] for p in vocabulary.pieces if p not in vocabulary.letters]
    np.testing.assert_allclose(shares, shares[0] / np.arange(1, len(shares) + 1), err_msg="by Zipf's law")


def test_the_table_is_turned_by_least_squares():
    draw = np.random.default_rng(0)
    summed = unit(draw.normal(size=(40, 6)))
    wanted = unit(summed @ draw.normal(size=(6, 6)) + 0.1 * draw.normal(size=(40, 6)))
    root, one = np.sqrt(RIDGE), np.eye(6)
    exact = np.linalg.lstsq(np.concatenate([summed, root * one]), np.concatenate([wanted, root * one]), rcond=None)[0]
    directions = np.linalg.svd(wanted)[2].T
    np.testing.assert_allclose(np.abs(_turn(summed, wanted, 3)), np.abs(exact @ directions[:, :3]), atol=1e-5)
    flat = wanted * np.array([1, 1, 0, 0, 0, 0])
    assert _turn(summed, flat, 4).shape == (6, 2), "directions of nothing are left out"


def test_what_is_stored_in_eight_bits_loses_nothing(lesson):
    table = lesson.encoder().weights[TABLE]
    np.testing.assert_array_equal(rounded(table), table)
    scale = np.abs(table).max(1, keepdims=True) / 127
    np.testing.assert_allclose(table / np.maximum(scale, 1e-12), np.rint(table / np.maximum(scale, 1e-12)), atol=1e-3)


def test_pieces_are_those_of_the_whole_tokenizer_where_all_are_kept(tiny, lesson, sentences):
    whole, own = Tokenizer.from_str(tiny.files.tokenizer.decode()), Tokenizer.from_str(lesson.tokenizer.decode())
    for text in (*sentences, "CAFÉ stolen?!", "a1b2 xyz", "请问", ""):
        assert own.encode(text).tokens == whole.encode(text, add_special_tokens=False).tokens
    assert own.encode("[CLS] x [SEP]").tokens == ["[", "c", "##l", "##s", "]", "x", "[", "s", "##e", "##p", "]"]


def test_pieces_of_the_users_texts_go_first_and_letters_always_stay(many_words):
    vocabulary = Vocabulary.of(many_words.files)
    rare = [p for p, piece in vocabulary.pieces.items() if piece in ("word8999", "word8000")]
    kept = vocabulary.chosen(Counter(rare), 10)
    names = [vocabulary.pieces[p] for p in kept]
    assert {"word8999", "word8000"} < set(names)
    assert len([name for name in names if len(name.removeprefix("##")) > 1]) == 10
    assert {"a", "##a", "z", "##z", "?"} < set(names)
    assert not {"[CLS]", "[SEP]", "[PAD]"} & set(names)
    spelled = Tokenizer.from_str(vocabulary.tokenizer(kept).decode()).encode("word8999 word7").tokens
    assert spelled[0] == "word8999"
    assert spelled[1:] == ["w", "##o", "##r", "##d", "##7"]


@pytest.mark.parametrize("most", [1_000_000, 600_000, 300_000, 150_000, 90_000, 1])
def test_the_largest_size_that_fits_is_taken(most, many_words, sentences, monkeypatch):
    monkeypatch.setattr(tiny_module, "SIZES", tuple(Size(s.pieces, s.width // 4) for s in SIZES))
    made = prepare_tiny(many_words, sentences, CLASSES, {}, most)
    taken = tiny_module.SIZES.index(made.size)

    def bytes_of(size: Size) -> int:
        vocabulary = Vocabulary.of(many_words.files)
        counts = Counter(p for ids in many_words.tokens.ids(made.texts) for p in ids)
        kept = vocabulary.chosen(counts, size.pieces)
        return size.bytes(len(kept) + 1, len(vocabulary.tokenizer(kept)), len(CLASSES))

    fits = [bytes_of(size) <= most for size in tiny_module.SIZES]
    assert taken == (fits.index(True) if any(fits) else len(SIZES) - 1)


def test_the_table_is_as_if_texts_held_out_had_never_been(many_words, sentences, monkeypatch):
    monkeypatch.setattr(tiny_module, "SIZES", (Size(150, 32),))
    texts = [f"{text} word{900 + i}" for i, text in enumerate(sentences)]
    held_out = frozenset(texts[1:3])
    whole = prepare_tiny(many_words, texts, CLASSES, {})
    spared = whole.encoder(held_out)
    table = spared.weights[TABLE]
    named = {piece: table[i] for piece, i in json.loads(whole.tokenizer)["model"]["vocab"].items()}
    assert not named["word901"].any(), "a piece that held-out texts alone have"
    assert named["word900"].any()
    garbled = whole.embedded.copy()
    garbled[1:3] = np.random.default_rng(0).normal(size=garbled[1:3].shape)
    again = replace(whole, embedded=garbled).encoder(held_out).weights[TABLE]
    np.testing.assert_array_equal(again, table)
    assert np.abs(replace(whole, embedded=garbled).encoder().weights[TABLE] - whole.encoder().weights[TABLE]).max() > 0.01


def test_held_out_logits_are_by_tables_that_never_saw_the_text(tiny, questions):
    texts = [row["text"] for row in questions][:24]
    labels = np.array([("lost", "refund", "rate").index(row["label"]) for row in questions], np.int32)[:24]
    fold = np.arange(24, dtype=np.int32) % 3
    pick, strengths = np.arange(24, dtype=np.int32), [Strength(5.0, 0.01)]
    lesson = prepare_tiny(tiny, texts, CLASSES, {})
    said, logits = judge_afresh(lesson, texts, None, labels, CLASSES, {})(pick, fold, strengths)
    assert said.shape == (24, 3)
    assert logits.shape == (1, 24, 3)
    garbled = lesson.embedded.copy()
    garbled[:24][fold == 1] = 0
    other = replace(lesson, embedded=garbled)
    said_2, logits_2 = judge_afresh(other, texts, None, labels, CLASSES, {})(pick, fold, strengths)
    np.testing.assert_array_equal(said[fold == 1], said_2[fold == 1])
    np.testing.assert_array_equal(logits[:, fold == 1], logits_2[:, fold == 1])
    assert np.abs(logits[:, fold == 0] - logits_2[:, fold == 0]).max() > 1e-3
    changed = np.where(fold == 1, (labels + 1) % 3, labels)
    _, relabelled = judge_afresh(lesson, texts, None, changed, CLASSES, {})(pick, fold, strengths)
    np.testing.assert_array_equal(logits[:, fold == 1], relabelled[:, fold == 1])


def test_another_kind_of_tokenizer_makes_none(tiny):
    description = json.loads(tiny.files.tokenizer)
    description["model"]["type"] = "Unigram"
    other = replace(tiny.files, tokenizer=json.dumps(description).encode())
    with pytest.raises(InputError, match="a tiny model is made of WordPiece"):
        Vocabulary.of(other)


@pytest.fixture(scope="module")
def built(many_words, questions, tmp_path_factory):
    """A package that a limit made tiny."""
    out = tmp_path_factory.mktemp("packages") / "tiny.edge"
    folder = str(many_words.files.folder)
    return modelgpt_edge.build(
        "route", questions, encoder=folder, out=out, target=("x86", "jetson"), limits=Limits(flash_bytes=250_000)
    )


def test_a_limit_that_no_encoder_fits_makes_a_tiny_model(built, many_words, questions, cli):
    assert least_bytes(many_words.files) > 250_000
    architecture = built.report["architecture"]
    assert architecture["template"] == "tiny"
    assert architecture["bytes"] <= 250_000
    wanted = f"takes {least_bytes(many_words.files):,} bytes at least, and the limit is 250,000: a tiny model of its words is"
    assert any(wanted in note for note in built.report["notes"])
    assert built.report["score"]["value"] > 0.8
    assert built.report["score"]["rows"] == len(questions)
    kept = [v for v in built.report["variants"] if v["kept"]]
    assert {(v["target"], v["precision"]) for v in kept} == {("x86", "fp32"), ("jetson-orin-nano", "fp32")}
    assert cli("verify", built.path).code == 0
    assert "no TensorRT variant to finalize. This model needs none" in cli("finalize", built.path).err
    model = modelgpt_edge.load(built.path)
    assert (model.predict([row["text"] for row in questions]) == [row["label"] for row in questions]).mean() > 0.95
    assert model.predict_proba("").shape == (1, 3)


def test_without_a_limit_it_is_made_where_it_is_asked_for(cli, tiny_encoder, write_csv, questions, tmp_path):
    table = write_csv(tmp_path / "q.csv", questions)
    options = ("--data", table, "--encoder", f"tiny:{tiny_encoder}", "--out", tmp_path / "m.edge")
    ran = cli("build", "--task", "route", *options)
    assert ran.code == 0, ran.err
    assert "Architecture  tiny " in ran.out
    named = ("--classes", "card lost,refund", "--encoder", f"tiny:{tiny_encoder}", "--out", tmp_path / "n.edge", "--json")
    report = json.loads(cli("build", "--task", "route", *named).out)
    assert (report["architecture"]["template"], report["generator"]["name"]) == ("tiny", "words")
    lora = cli("build", "--task", "route", *options, "--force", "--generator", "lora")
    assert lora.code != 0


def test_a_limit_that_its_compiled_forms_miss_makes_it_too(tiny, tiny_encoder, questions, tmp_path):
    limit = 40_000
    assert least_bytes(tiny.files) < limit
    made = modelgpt_edge.build(
        "route", questions, encoder=str(tiny_encoder), out=tmp_path / "m.edge", limits=Limits(flash_bytes=limit)
    )
    assert made.report["architecture"]["template"] == "tiny"
    assert made.report["architecture"]["bytes"] <= limit
    note = next(note for note in made.report["notes"] if "a tiny model of its words is made instead" in note)
    assert "doesn't fit (onnxruntime int8-dynamic is over the limit of 40,000 bytes of flash by" in note


def test_pairs_can_be_tiny(tiny_encoder, tmp_path):
    rows = [
        {"sentence1": f"my {a} is lost {i}", "sentence2": f"the {b} please {i}", "label": int(a == b)}
        for i, (a, b) in enumerate([("card", "card"), ("card", "film"), ("film", "film"), ("euro", "card")] * 10)
    ]
    made = modelgpt_edge.build("same?", rows, encoder=f"tiny:{tiny_encoder}", out=tmp_path / "p.edge")
    assert made.report["architecture"]["template"] == "tiny"
    assert made.report["generator"]["name"] == "linear"
    assert made.load().predict_proba([("my card is lost", "the card please")]).shape == (1, 2)
