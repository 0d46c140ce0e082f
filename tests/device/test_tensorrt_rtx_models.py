"""TensorRT-RTX itself on models of pictures and of texts: from bytes or token ids on. Built, never run: no GPU here."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest

import modelgpt_edge
from modelgpt_edge.architecture.image.backbone import Backbone
from modelgpt_edge.architecture.image.files import find_backbone
from modelgpt_edge.architecture.image.samples import sample_pictures
from modelgpt_edge.architecture.image.template import SizedBackbone, TrunkTemplate
from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.architecture.text.files import find_encoder
from modelgpt_edge.compile.image.source import PictureSource
from modelgpt_edge.compile.text.source import TextSource
from modelgpt_edge.gate import compare, tolerance_of
from modelgpt_edge.manifest import CHECKS
from modelgpt_edge.onnx_nodes import Graph
from modelgpt_edge.parameters.image.space import Traits
from modelgpt_edge.targets.registry import find_target
from modelgpt_edge.targets.tensorrt.backend import MODEL
from modelgpt_edge.targets.tensorrt.building import build_engine
from modelgpt_edge.targets.tensorrt.feed import Feed
from modelgpt_edge.targets.tensorrt.recipe import RECIPE, Recipe
from modelgpt_edge.targets.tensorrt_rtx.backend import CAPABILITIES, ENGINE, TensorRtRtx
from modelgpt_edge.targets.tensorrt_rtx.proxy import proxy_check
from modelgpt_edge.text_head import TextHead
from modelgpt_edge.tokens import TOKENIZER

pytestmark = pytest.mark.device

PRECISIONS = ("fp16", "int8", "fp32")
CLASSES = ("a", "b", "c")
TEXTS = ("where is my card?", "give me my money back", "what is the exchange rate of the euro")
BESIDE = {"pictures": set(), "texts": {TOKENIZER}, "pairs": {TOKENIZER}}


@cache
def source_of(kind: str) -> Any:
    """The real backbone or encoder under a head of random numbers."""
    draw = np.random.default_rng(0)

    def head(width: int) -> TextHead:
        return TextHead(draw.normal(0, 1, (width, len(CLASSES))).astype(np.float32), np.zeros(len(CLASSES), np.float32))

    if kind == "pictures":
        template, pictures = SizedBackbone(Backbone.of(find_backbone()), 96, TrunkTemplate.shipped()), sample_pictures(96, 24)
        traits = Traits.of(template)
        space = traits.space(template.channels(pictures)[: traits.usual])
        return PictureSource(template, space, head(space.width), CLASSES, pictures, False, "0")
    encoder, pairs = TextEncoder.of(find_encoder()), kind == "pairs"
    return TextSource(encoder, head(encoder.width(pairs)), CLASSES, "0", ("one", "two") if pairs else ("text",))


def asked(source: Any) -> tuple[np.ndarray, np.ndarray]:
    """Something to ask, and the reference's answers (N, K)."""
    if source.front == "pixels":
        pictures = sample_pictures(96, 40)[24:]
        return pictures, source.probabilities(source.template.channels(pictures))
    columns = [TEXTS, TEXTS[::-1]][: len(source.columns)]
    return source.encoder.codes(*columns), source.head.probabilities(source.encoder.embed(*columns))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kind", ["pictures", "texts", "pairs"])
def test_a_model_is_built_ahead_and_its_stand_in_computes_the_reference(kind, precision, tmp_path):
    source = source_of(kind)
    made = TensorRtRtx().compile(source, find_target("rtx"), precision)
    assert set(made.files) == {MODEL, ENGINE, RECIPE} | BESIDE[kind]
    assert made.facts["engine_for"] == [f"sm_{c}" for c in CAPABILITIES[precision]]
    recipe = json.loads(made.files[RECIPE])
    assert (recipe["input"], recipe["rows"]) == (("pixels", 16) if kind == "pictures" else ("codes", 32))
    for name, content in made.files.items():
        (tmp_path / name).write_bytes(content)
    given, expected = asked(source)
    executor = TensorRtRtx().stand_in(lambda name: tmp_path / name, find_target("rtx"))
    got = executor.run(np.zeros((len(given), 0), np.float32), given)
    hop = compare("stand-in", expected, got, tolerance_of(precision, made.front))
    assert hop.passed, hop.failure


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kind", ["pictures", "texts", "pairs"])
def test_every_precision_of_a_jetson_passes_the_proxy(kind, precision):
    source = source_of(kind)
    content = source.typed(precision)
    evidence = proxy_check(content, feed=Feed.of(source))
    assert evidence["passed"], evidence["trouble"]
    written = Counter(node.op_type for node in onnx.load_from_string(content).graph.node)
    rounded = {"QUANTIZE": written["QuantizeLinear"], "DEQUANTIZE": written["DequantizeLinear"]}
    assert {name: evidence["layers"].get(name, 0) for name in rounded} == rounded, "explicit types reach the network"
    assert (evidence["int8_layers"] > 0) == (precision == "int8")


@pytest.mark.filterwarnings("ignore:Use .* instead:DeprecationWarning")  # timing caches do nothing in TensorRT-RTX
@pytest.mark.parametrize("kind", ["pictures", "texts"])
def test_what_finalize_asks_of_tensorrt_the_real_bindings_of_its_family_understand(library, kind, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    source = source_of(kind)
    recipe = Recipe.of(find_target("jetson"), "fp16", Feed.of(source))
    plan = build_engine(library, source.typed("fp16"), recipe, "sm_86", 64 << 20, "building", lambda stage, share: None)
    assert len(plan.content) > 1_000_000


def test_bytes_go_into_nothing_but_a_cast():
    """What `Convolutions.enter` rests on; where it passes one day, the transposition may go first for GPUs too."""
    graph = Graph("bytes")
    turned = graph.add("Transpose", graph.input("pixels", "uint8", 8, 8, 3), perm=[0, 3, 1, 2])
    mean = graph.add("ReduceMean", graph.add("Cast", turned, to=onnx.TensorProto.FLOAT), axes=[2, 3], keepdims=0)
    graph.output(mean, "mean", "float32", 3)
    feed = Feed("pixels", (1, 8, 8, 3), (1, 8, 8, 3), (16, 8, 8, 3))
    assert not proxy_check(graph.model("0").SerializeToString(), feed=feed)["passed"]


def test_a_package_for_a_pc_holds_an_engine_and_says_that_it_was_not_run(tmp_path, cli):
    out = tmp_path / "m.edge"
    modelgpt_edge.build("route questions", classes="card lost,refund", out=out, target="rtx", generator="words")
    engines = list(out.glob(f"variants/rtx-tensorrt-rtx-*/{ENGINE}"))
    assert engines
    built = [c for c in json.loads((out / CHECKS).read_bytes())["candidates"] if c["backend"] == "tensorrt-rtx"]
    assert {c["precision"] for c in built} == set(PRECISIONS)
    assert all(c["status"] == "built, not run" for c in built)
    assert cli("verify", out).code == 0
