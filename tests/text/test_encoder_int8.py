"""Lower precisions of the shipped encoder: how far they point astray, what they weigh, and what smoothing does for int8."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from modelgpt_edge.architecture.text import smoothing
from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.architecture.text.products import Products
from modelgpt_edge.architecture.text.samples import SAMPLES
from modelgpt_edge.cache import cache_folder
from modelgpt_edge.compile.text.source import TextSource
from modelgpt_edge.onnx_nodes import Graph
from modelgpt_edge.targets.onnxruntime import open_session
from modelgpt_edge.text_head import TextHead
from modelgpt_edge.tokens import padded

# Texts of users, none of them among the samples that the smoothing is found on.
UNSEEN = (
    "My card payment was declined in the supermarket, why?",
    "top up failed again",
    "How much is the fee for sending money to Japan?",
    "please freeze my account right away, somebody has my phone",
    "An unflinching, gorgeous and deeply sad picture of a family.",
    "the worst sequel ever made",
    "turn on the lights in the kitchen",
    "Könnten Sie mir bitte die Rechnung noch einmal zusenden?",
    "¿cuándo llega mi pedido?",
    "SELECT name FROM users WHERE id = 7;",
    "The patient was given 5 mg twice daily for 14 days.",
    "ok",
)


def embed(encoder: TextEncoder, products: Products, texts: tuple[str, ...]) -> np.ndarray:
    graph = Graph("encoder")
    graph.output(encoder.add_to(graph, products), "embedding", "float32", encoder.width())
    session = open_session(graph.model("test").SerializeToString(), 2)
    return np.concatenate([session.run(None, {"codes": padded([ids])})[0] for ids in encoder.tokens.ids(texts)])


def cosines(got: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(N,) of rows of unit length."""
    return (got * wanted).sum(1)


@pytest.fixture(scope="module")
def exact(real: TextEncoder) -> np.ndarray:
    """fp32 embeddings of the texts."""
    assert not set(UNSEEN) & set(SAMPLES)
    return real.embed(UNSEEN)


@pytest.mark.parametrize(
    ("precision", "least", "mean"), [("fp16", 0.99999, 0.99999), ("int8-dynamic", 0.97, 0.99), ("int8", 0.96, 0.99)]
)
def test_lower_precisions_point_the_same_way(precision, least, mean, real, exact):
    found = cosines(embed(real, real.products(precision), UNSEEN), exact)
    assert found.min() > least
    assert found.mean() > mean


@pytest.fixture(scope="module")
def calibrated(real: TextEncoder) -> Callable[..., dict[str, smoothing.Smoothing]]:
    """Smoothings of the samples with only some exponents to choose from."""

    def calibrate(*exponents: float) -> dict[str, smoothing.Smoothing]:
        ids = [padded([ids]) for ids in real.tokens.ids(SAMPLES)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(smoothing, "EXPONENTS", exponents)
            return smoothing.find_smoothings(lambda graph: real.add_to(graph, Products("fp32")), real.width(), ids)

    return calibrate


@pytest.mark.parametrize("precision", ["int8-dynamic", "int8"])
def test_exponents_that_are_chosen_err_less_than_one_for_all(precision, real, exact, calibrated):
    chosen = 1 - cosines(embed(real, real.products(precision), UNSEEN), exact).mean()
    for exponent in (0.0, 0.5):
        one_for_all = 1 - cosines(embed(real, Products(precision, calibrated(exponent)), UNSEEN), exact).mean()
        assert chosen < one_for_all / 2


def test_smoothing_errs_less_than_none(real, exact):
    nothing = {name: smoothing.Smoothing(np.ones_like(s.divisor), s.range) for name, s in real.smoothings.items()}
    plain = 1 - cosines(embed(real, Products("int8-dynamic", nothing), UNSEEN), exact).mean()
    chosen = 1 - cosines(embed(real, real.products("int8-dynamic"), UNSEEN), exact).mean()
    assert chosen < 0.7 * plain


@pytest.mark.parametrize(("precision", "most"), [("int8-dynamic", 25e6), ("int8", 36e6), ("fp16", 46e6), ("fp32", 92e6)])
def test_the_compiled_model_with_its_tokenizer_is_small(precision, most, real):
    head = TextHead(np.zeros((real.width(), 3), np.float32), np.zeros(3, np.float32))
    source = TextSource(real, head, ("a", "b", "c"), "0")
    total = len(source.onnx("tokens", precision)) + sum(map(len, source.beside.values()))
    assert 0.9 * most < total < most


def test_a_word_table_in_int8_errs_by_half_a_step_of_its_row(tiny):
    """The embedding of words alone, whose rows have scales of their own."""
    table = tiny.weights["embeddings.word_embeddings.weight"] * np.logspace(-3, 3, tiny.files.shape.words)[:, None].astype("f4")
    graph = Graph("lookup")
    codes = graph.input("codes", "int32", "L")
    graph.output(Products("int8-dynamic").lookup(graph, "words", table, codes), "rows", "float32", 1, 1)
    model = graph.model("test")
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    every = np.arange(len(table), dtype=np.int32)[None]
    (rows,) = open_session(model.SerializeToString()).run(None, {"codes": every})
    step = np.abs(table).max(1, keepdims=True) / 127
    assert (np.abs(rows[0] - table) <= 0.5001 * step).all()


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Path]]:
    """An empty cache, and what lies in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return lambda: sorted(cache_folder().glob("smoothings-*"))


def test_smoothings_are_kept_and_read_again(own_cache, tiny):
    first = TextEncoder(tiny.files, tiny.weights).smoothings
    assert set(first) == {f"layer{layer}_{part}" for layer in range(2) for part in ("qkv", "out", "up", "down")}
    (kept,) = own_cache()
    tensors = load(kept.read_bytes())
    kept.write_bytes(save(tensors | {"layer0_qkv.range": np.array([123.0], np.float32)}))
    again = TextEncoder(tiny.files, tiny.weights).smoothings
    assert again["layer0_qkv"].range == 123
    assert again["layer1_down"].divisor.tolist() == first["layer1_down"].divisor.tolist()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage that is no safetensors",
        save({"layer0_qkv.divisor": np.ones(3, np.float32)}),
        save({"layer0_qkv.divisor": np.ones(3, np.float32), "layer0_qkv.range": np.ones(1, np.float32)}),
    ],
    ids=["empty", "garbage", "no range", "products missing"],
)
def test_a_damaged_cache_is_made_anew(content, own_cache, tiny):
    first = TextEncoder(tiny.files, tiny.weights).smoothings
    (kept,) = own_cache()
    whole = kept.read_bytes()
    kept.write_bytes(content)
    again = TextEncoder(tiny.files, tiny.weights).smoothings
    assert {name: s.range for name, s in again.items()} == {name: s.range for name, s in first.items()}
    assert kept.read_bytes() == whole


def test_a_cache_that_cannot_be_written_costs_time_only(own_cache, tiny, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(TextEncoder(tiny.files, tiny.weights).smoothings) == 8


def test_other_weights_have_smoothings_of_their_own(own_cache, tiny, write_encoder, tmp_path):
    from modelgpt_edge.architecture.text.files import read_encoder

    _ = TextEncoder(tiny.files, tiny.weights).smoothings
    _ = TextEncoder.of(read_encoder(write_encoder(tmp_path / "cls", pooling="cls"), "cls")).smoothings
    assert len(own_cache()) == 2
