"""The browser's variant of a model of texts as files, without a browser: what goes in, and which encoders are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.architecture.text.files import read_encoder
from modelgpt_edge.compile.text.source import TextSource
from modelgpt_edge.errors import PackageError, TargetUnavailableError
from modelgpt_edge.targets.browser.backend import OnnxRuntimeWeb
from modelgpt_edge.targets.browser.text_files import text_files
from modelgpt_edge.targets.browser.variant_files import kind_of
from modelgpt_edge.targets.registry import find_target
from modelgpt_edge.text_head import TextHead

BROWSER = find_target("browser")


@pytest.fixture(scope="module")
def source(tiny) -> TextSource:
    draw = np.random.default_rng(2)
    head = TextHead(4 * draw.normal(size=(tiny.width(), 3)).astype(np.float32), draw.normal(size=3).astype(np.float32))
    return TextSource(tiny, head, ("lost", 'a "b", c', "请问"), "1.2.3", ("question, née",))


def description(tokenizer: bytes) -> dict[str, Any]:
    described: dict[str, Any] = json.loads(tokenizer)
    return described


def test_a_variant_is_the_graph_its_tokenizer_and_what_runs_them(source):
    artefact = OnnxRuntimeWeb().compile(source, BROWSER, "fp32")
    assert artefact.front == "tokens"
    assert set(artefact.files) == {"model.onnx", "model.json", "model.mjs", "tokenizer.json", "wordpiece.mjs"}
    assert artefact.files["tokenizer.json"] == source.encoder.files.tokenizer
    assert artefact.files["model.onnx"] == source.onnx("tokens", "fp32")
    assert b'from "./wordpiece.mjs"' in artefact.files["model.mjs"]
    assert json.loads(artefact.files["model.json"]) == {
        "kind": "text",
        "columns": ["question, née"],
        "classes": ["lost", 'a "b", c', "请问"],
        "tokens": 64,
        "words": source.encoder.files.shape.words,
    }


def test_of_pairs_both_names_are_told(source):
    pairs = TextSource(source.encoder, source.head, source.classes, "0", ("sentence1", "sentence2"))
    facts = json.loads(text_files(pairs.texts, pairs.beside["tokenizer.json"])["model.json"])
    assert facts["columns"] == ["sentence1", "sentence2"]


def test_a_refit_has_the_new_weights_and_the_same_code(source, tmp_path):
    backend = OnnxRuntimeWeb()
    other = replace(source, head=source.head.scaled(2), _made={})
    old, new = backend.compile(source, BROWSER, "fp32"), backend.refit(tmp_path.joinpath, other, BROWSER, "fp32")
    assert [name for name in old.files if old.files[name] != new.files[name]] == ["model.onnx"]


@pytest.mark.parametrize("precision", ["fp32", "int8-dynamic"])
def test_the_stand_in_computes_what_the_reference_does(source, sentences, precision, tmp_path):
    for name, content in OnnxRuntimeWeb().compile(source, BROWSER, precision).files.items():
        (tmp_path / name).write_bytes(content)
    codes = source.codes(np.array(sentences, object)[:, None])
    got = OnnxRuntimeWeb().stand_in(tmp_path.joinpath, BROWSER).run(np.zeros((len(codes), 0), np.float32), codes)
    wanted = source.head.probabilities(source.encoder.embed(sentences))
    np.testing.assert_allclose(got, wanted, atol=1e-5 if precision == "fp32" else 0.5)


def test_ranges_that_are_found_as_it_runs_are_for_texts_alone(source):
    assert source.precisions(BROWSER, OnnxRuntimeWeb()) == ["fp32", "int8-dynamic"]
    assert [p for p in BROWSER.precisions if p in OnnxRuntimeWeb.precisions] == ["fp32", "int8"]


OTHERS = {
    "model": ({"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 0}, "model Unigram"),
    "normalizer": ({"type": "NFKC"}, "normalizer NFKC"),
    "pre_tokenizer": ({"type": "Metaspace"}, "pre_tokenizer Metaspace"),
    "post_processor": (None, "post_processor None"),
}


@pytest.mark.parametrize("part", OTHERS)
def test_a_tokenizer_of_another_kind_is_refused_with_a_cure(part, source):
    other, seen = OTHERS[part]
    changed = json.dumps(description(source.encoder.files.tokenizer) | {part: other}).encode()
    with pytest.raises(TargetUnavailableError, match=seen) as error:
        text_files(source.texts, changed)
    assert "all-MiniLM-L6-v2" in str(error.value)
    assert "x86" in str(error.value)


@pytest.mark.parametrize("trait", ["normalized", "lstrip", "rstrip", "single_word"])
def test_added_tokens_that_need_more_than_their_text_are_refused(trait, source):
    changed = description(source.encoder.files.tokenizer)
    changed["added_tokens"][4][trait] = True
    with pytest.raises(TargetUnavailableError, match=rf"added token '\[MASK\]' is {trait}"):
        text_files(source.texts, json.dumps(changed).encode())


def test_a_build_for_the_browser_alone_with_such_an_encoder_ends_with_the_code_for_a_target(cli, tiny_encoder, tmp_path):
    folder = tmp_path / "lstrip"
    folder.mkdir()
    for path in tiny_encoder.iterdir():
        (folder / path.name).symlink_to(path)
    changed = description((folder / "tokenizer.json").read_bytes())
    changed["added_tokens"][4]["lstrip"] = True
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json").write_text(json.dumps(changed), encoding="utf-8")
    assert TextEncoder.of(read_encoder(folder, "it")).tokens.ids(["x [MASK]"])
    ran = cli("build", "--task", "route questions", "--classes", "card,refund", "--encoder", folder, "--target", "browser",
              "--out", tmp_path / "it.edge")  # fmt: skip
    assert ran.code == 4, ran.err
    assert "tokenized as BERT does" in ran.err
    assert not (tmp_path / "it.edge").exists()


@pytest.mark.parametrize("facts", [b'{"kind": "te', b'{"kind": "sound"}', b'{"kind": []}', b"[]", b"\xff"])
def test_facts_that_are_damaged_are_told(facts, tmp_path):
    (tmp_path / "model.json").write_bytes(facts)
    with pytest.raises(PackageError, match=r"model\.json.*can't be read"):
        kind_of(tmp_path.joinpath)
