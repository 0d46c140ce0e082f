"""Encoder and head as one graph: what it says, what the gate holds it against, and what it refuses."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from modelgpt_edge.architecture.text.samples import SAMPLES
from modelgpt_edge.compile.candidate import CLEAR, Probe
from modelgpt_edge.compile.text.compiler import HARD_TEXTS, compile_text
from modelgpt_edge.compile.text.source import TextSource, text_graph
from modelgpt_edge.errors import GateError
from modelgpt_edge.limits import NO_LIMITS
from modelgpt_edge.targets.onnxruntime import OnnxRuntime, executor_of, open_session
from modelgpt_edge.targets.registry import find_target
from modelgpt_edge.text_head import TextHead

CLASSES = ("lost", 'a "b", c', "请问")


@pytest.fixture(scope="module")
def source(tiny) -> TextSource:
    draw = np.random.default_rng(2)
    head = TextHead(4 * draw.normal(size=(tiny.width(), 3)).astype(np.float32), draw.normal(size=3).astype(np.float32))
    return TextSource(tiny, head, CLASSES, "1.2.3")


def labels(count: int) -> np.ndarray:
    return (np.arange(count) % 3).astype(np.int32)


def test_the_truth_gives_names_and_probabilities(source, sentences):
    model = text_graph(source, "fp32", with_label=True)
    onnx.checker.check_model(model, full_check=True)
    assert [o.name for o in model.graph.output] == ["label", "probabilities"]
    assert model.producer_version == "1.2.3"
    codes = source.codes(np.array(sentences, object)[:, None])
    named, probabilities = open_session(model.SerializeToString()).run(None, {"codes": codes})
    wanted = source.head.logits(source.encoder.embed(sentences)).astype(np.float64)
    wanted = np.exp(wanted) / np.exp(wanted).sum(1, keepdims=True)
    np.testing.assert_allclose(probabilities, wanted, atol=1e-5)
    assert named.tolist() == [CLASSES[k] for k in wanted.argmax(1)]


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8-dynamic", "int8"])
def test_every_precision_takes_a_batch_of_any_lengths(precision, source, sentences):
    model = onnx.load_model_from_string(source.onnx("tokens", precision))
    onnx.checker.check_model(model)
    assert [i.name for i in model.graph.input] == ["codes"]
    executor = executor_of(open_session(source.onnx("tokens", precision)))
    codes = source.codes(np.array([*sentences, ""], object)[:, None])
    got = executor.run(np.zeros((len(codes), 0), np.float32), codes)
    wanted = source.head.probabilities(source.encoder.embed([*sentences, ""]))
    assert got.shape == (len(codes), 3)
    np.testing.assert_allclose(got.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(got, wanted, atol={"fp32": 1e-5, "fp16": 1e-2}.get(precision, 0.5))


def test_the_tokenizer_lies_beside_every_variant(source):
    artefact = OnnxRuntime().compile(source, find_target("x86"), "fp32")
    assert artefact.front == "tokens"
    assert artefact.files["tokenizer.json"] == source.encoder.files.tokenizer
    assert set(artefact.files) == {"model.onnx", "tokenizer.json"}


def test_golden_rows_hold_hard_texts_and_the_users(source, questions):
    texts = [row["text"] for row in questions]
    compiled = compile_text(source, [texts], labels(len(texts)), (find_target("x86"),), NO_LIMITS)
    words = [row[0] for row in compiled.golden.words.tolist()]
    assert set(HARD_TEXTS) <= set(words)
    assert len(set(words) & set(texts)) == 10
    assert compiled.hops[0].name == "onnx"
    assert all(hop.passed for hop in compiled.hops)
    assert compiled.golden.outputs.shape == (len(words), 3)


def test_where_nobody_knows_a_label_no_accuracy_is_told(source):
    said = [f"{way} {name}" for way in ("what of", "please", "again") for name in CLASSES]
    compiled = compile_text(source, [said], None, (find_target("x86"),), NO_LIMITS)
    words = {row[0] for row in compiled.golden.words.tolist()}
    assert words & set(said)
    assert words & {" ".join(text.split()[:24]) for text in SAMPLES}
    assert set(HARD_TEXTS) <= words
    assert {c.precision for c in compiled.candidates} == {"fp32", "int8-dynamic"}
    assert all((c.loss, c.training_accuracy) == (None, None) for c in compiled.candidates)
    assert next(c for c in compiled.candidates if c.precision == "fp32").agreement == 1.0


def test_rows_that_nobody_labelled_count_where_the_reference_is_clear():
    nothing = np.zeros((4, 0), np.float32)
    reference = np.array([[0.6, 0.4], [0.2, 0.8], [0.7, 0.3], [0.45, 0.55]], np.float32)
    got = reference[:, ::-1].copy()
    got[1] = reference[1]
    labels = reference.argmax(1).astype(np.int32)
    assert Probe(nothing, nothing, nothing, reference, labels).agreement(got) == 0.25
    probe = Probe(nothing, nothing, nothing, reference, labels, labelled=False)
    assert CLEAR == 2.0
    assert probe.agreement(got) == 0.5
    assert probe.first(2).agreement(got[:2]) == 1.0
    assert probe.first(1).agreement(got[:1]) is None
    assert probe.accuracy(got) is None
    assert Probe(nothing, nothing, nothing, reference[:, :1], labels).agreement(got[:, :1]) is None


@pytest.mark.parametrize("array", ["weight", "bias"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_head_of_no_numbers_stops_at_the_gate(array, value, source, questions):
    spoiled = {"weight": source.head.weight.copy(), "bias": source.head.bias.copy()}
    spoiled[array].flat[1] = value
    broken = TextSource(source.encoder, TextHead(**spoiled), CLASSES, "0")
    with pytest.raises(GateError, match=f"hop 'emit': head {array} holds NaN or infinite"):
        compile_text(broken, [["my card"]], labels(1), (find_target("x86"),), NO_LIMITS)


def test_a_graph_that_says_something_else_stops_at_the_gate(source, tiny):
    """The reference is the encoder run by itself: weights that differ by one number from the graph's are told of."""
    from modelgpt_edge.architecture.text.encoder import TextEncoder

    weights = dict(tiny.weights)
    weights["encoder.layer.1.output.LayerNorm.bias"] = weights["encoder.layer.1.output.LayerNorm.bias"] + 0.05
    other = TextEncoder(tiny.files, weights)
    broken = TextSource(other, source.head, CLASSES, "0")
    other.__dict__["_texts"] = tiny._texts
    with pytest.raises(GateError, match="onnx"):
        compile_text(broken, [["my card"]], labels(1), (find_target("x86"),), NO_LIMITS)


def test_fronts_that_texts_do_not_have_are_refused(source):
    with pytest.raises(ValueError, match="no front 'packed'"):
        source.onnx("packed", "fp32")
    with pytest.raises(TypeError, match="no table's child"):
        _ = source.child
