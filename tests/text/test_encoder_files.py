"""Which folders are encoders: what is read of them, and what is said of those that aren't."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.architecture.text.files import find_encoder, read_encoder
from modelgpt_edge.errors import InputError, ModelgptEdgeError, TargetUnavailableError

Mend = Callable[[Path], object]


def config(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def pooling(folder: Path, **modes: object) -> None:
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(modes))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def weights(folder: Path, change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> None:
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path)


def one_word_more(folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_tokens(["flabbergasted"])
    tokenizer.save(str(folder / "tokenizer.json"))


def without(name: str) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    return lambda tensors: {own: array for own, array in tensors.items() if name not in own}


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: (f / "tokenizer.json").unlink(), "lacks a file (seen: 'tokenizer.json')"),
        (lambda f: (f / "config.json").unlink(), "lacks a file (seen: 'config.json')"),
        (lambda f: (f / "model.safetensors").unlink(), "lacks a file (seen: 'model.safetensors')"),
        (lambda f: (f / "config.json").write_text("{"), "a file of the encoder can't be read"),
        (lambda f: (f / "config.json").write_bytes(b"\xff\xfe\x00"), "a file of the encoder can't be read"),
        (lambda f: (f / "config.json").write_text("[]"), "architecture isn't known"),
        (lambda f: config(f, model_type="roberta"), "architecture isn't known here (seen: ('roberta', 'gelu'"),
        (lambda f: config(f, hidden_act="gelu_new"), "architecture isn't known"),
        (lambda f: config(f, position_embedding_type="relative_key"), "architecture isn't known"),
        (lambda f: config(f, hidden_size="wide"), "config.json can't be read"),
        (lambda f: config(f, num_attention_heads=0), "config.json can't be read"),
        (lambda f: config(f, num_attention_heads=5), "config.json can't be read"),
        (lambda f: config(f, max_position_embeddings=0), "config.json can't be read"),
        (lambda f: pooling(f, pooling_mode_max_tokens=True), "pooling isn't known here"),
        (lambda f: pooling(f, pooling_mode_cls_token=True, pooling_mode_mean_tokens=True), "pooling isn't known here"),
        (lambda f: (f / "1_Pooling" / "config.json").write_text("nonsense"), "a file of the encoder can't be read"),
        (lambda f: (f / "sentence_bert_config.json").write_text('{"max_seq_length": "far"}'), "can't be read"),
        (lambda f: (f / "sentence_bert_config.json").write_text('{"max_seq_length": -3}'), "can't be read"),
        (lambda f: (f / "model.safetensors").write_bytes(b"nonsense"), "weights can't be read"),
        (lambda f: cut(f / "model.safetensors"), "weights can't be read"),
        (lambda f: weights(f, without("layer.1.output.dense.bias")), "weights can't be read"),
        (lambda f: weights(f, without("token_type")), "weights can't be read"),
        (lambda f: config(f, num_hidden_layers=3), "weights can't be read"),
        (lambda f: config(f, intermediate_size=49), "weights can't be read"),
        (lambda f: config(f, vocab_size=50), "weights can't be read"),
        (lambda f: weights(f, lambda t: {n: a.astype(np.int32) for n, a in t.items()}), "weights can't be read"),
        (lambda f: weights(f, lambda t: {n: a * np.float32("nan") for n, a in t.items()}), "weights can't be read"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "tokenizer can't be read"),
        (lambda f: (f / "tokenizer.json").write_bytes(b"\xff\xfe"), "tokenizer can't be read"),
        (lambda f: one_word_more(f), "the tokenizer has more words than the encoder's"),
    ],
)
def test_a_spoiled_folder_is_told_of(spoil: Mend, says, write_encoder, tmp_path):
    folder = write_encoder(tmp_path / "e")
    spoil(folder)
    with pytest.raises(ModelgptEdgeError) as told:
        TextEncoder.of(find_encoder(str(folder))).embed(["a text"])
    assert says in str(told.value)
    assert isinstance(told.value, InputError)
    assert str(folder) in str(told.value)


@pytest.mark.parametrize(
    ("change", "length", "kind"),
    [
        (lambda f: None, 64, "mean"),
        (lambda f: (f / "sentence_bert_config.json").write_text('{"max_seq_length": 16}'), 16, "mean"),
        (lambda f: (f / "sentence_bert_config.json").write_text('{"max_seq_length": 4096}'), 64, "mean"),
        (lambda f: (f / "sentence_bert_config.json").write_text('{"max_seq_length": null}'), 64, "mean"),
        (lambda f: pooling(f, pooling_mode_cls_token=True), 64, "cls"),
        (lambda f: (f / "1_Pooling" / "config.json").unlink(), 64, "mean"),
        (lambda f: pooling(f, word_embedding_dimension=32), 64, "mean"),
    ],
)
def test_length_and_pooling_are_read_where_they_are_told(change: Mend, length, kind, write_encoder, tmp_path):
    folder = write_encoder(tmp_path / "e")
    change(folder)
    files = find_encoder(str(folder))
    assert (files.length, files.pooling, files.name) == (length, kind, "e")
    codes = TextEncoder.of(files).codes(["my card is lost " * 50])
    assert codes.shape == (1, length)


def test_weights_in_half_precision_are_read(write_encoder, tmp_path, tiny):
    folder = write_encoder(tmp_path / "e")
    weights(folder, lambda tensors: {name: array.astype(np.float16) for name, array in tensors.items()})
    read = TextEncoder.of(read_encoder(folder, "e"))
    assert {array.dtype for array in read.weights.values()} == {np.dtype("float32")}
    got, wanted = read.embed(["my card is lost"]), tiny.embed(["my card is lost"])
    assert (got * wanted).sum() > 0.9999


def test_tensors_that_no_encoder_uses_are_left_out_of_the_count(tiny, write_encoder, tmp_path):
    folder = write_encoder(tmp_path / "e")
    weights(folder, lambda t: t | {"pooler.dense.weight": np.zeros((32, 32), "f4"), "embeddings.position_ids": np.arange(64)})
    files = read_encoder(folder, "e")
    assert files.shape.parameters == sum(array.size for array in tiny.weights.values())
    assert TextEncoder.of(files).embed(["x"]).tolist() == tiny.embed(["x"]).tolist()


def test_the_shipped_encoder_is_the_default(real):
    assert find_encoder() == find_encoder("all-MiniLM-L6-v2") == real.files
    assert (real.files.shape.layers, real.files.shape.width, real.files.pooling) == (6, 384, "mean")
    assert real.files.shape.parameters == sum(a.size for n, a in real.weights.items() if "pooler" not in n)


def test_the_checksum_tells_encoders_apart(write_encoder, tmp_path, tiny):
    same = read_encoder(write_encoder(tmp_path / "same"), "another name")
    cls = read_encoder(write_encoder(tmp_path / "cls", pooling="cls"), "tiny")
    changed = write_encoder(tmp_path / "changed")
    weights(changed, lambda t: t | {"embeddings.LayerNorm.bias": t["embeddings.LayerNorm.bias"] + 1})
    assert same.sha256 == tiny.files.sha256
    assert len({tiny.files.sha256, cls.sha256, read_encoder(changed, "tiny").sha256}) == 3


@pytest.mark.parametrize("name", ["nowhere", "./nowhere", "/no/where", "~/nowhere", "a/b/c"])
def test_a_name_that_is_nothing_is_refused(name):
    with pytest.raises(InputError, match="there is no such encoder"):
        find_encoder(name)


def test_a_hub_name_that_cannot_be_fetched_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(TargetUnavailableError, match="the encoder can't be fetched"):
        find_encoder("nobody/no-such-encoder-here")


def test_a_tokenizer_without_special_tokens_leaves_an_empty_text_empty(write_encoder, tmp_path):
    folder = write_encoder(tmp_path / "e")
    values = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(values | {"post_processor": None}))
    encoder = TextEncoder.of(read_encoder(folder, "e"))
    assert encoder.codes(["", ""]).tolist() == [[-1], [-1]]
    embedded = encoder.embed(["", "my card", ""])
    assert np.isfinite(embedded).all()
    assert embedded[0].tolist() == [0.0] * 32
    assert np.isfinite(encoder.embed(["", "x"], ["", ""])).all()
