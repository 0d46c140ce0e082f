"""Models of texts for TensorRT: token ids in, every type said; built by `finalize` on a FAKE board, that is ONNX Runtime."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import modelgpt_edge
from modelgpt_edge.architecture.text.products import HALF
from modelgpt_edge.compile.text.source import TextSource
from modelgpt_edge.gate import TOLERANCES
from modelgpt_edge.onnx_nodes import Graph
from modelgpt_edge.runtime.finalize import finalize_package
from modelgpt_edge.runtime.opening import open_package
from modelgpt_edge.targets.onnxruntime import TokensExecutor, open_session
from modelgpt_edge.targets.registry import find_target
from modelgpt_edge.targets.tensorrt.backend import TensorRt
from modelgpt_edge.targets.tensorrt.feed import Feed
from modelgpt_edge.targets.tensorrt.recipe import Recipe
from modelgpt_edge.text_head import TextHead
from tests.targets.tensorrt.fake_board import FakeBoard

NANO = find_target("jetson")
FP16 = "jetson-orin-nano-tensorrt-fp16"


@pytest.fixture(params=["10.3.0", "11.3.0"])
def board(request, monkeypatch, tmp_path) -> Any:
    return FakeBoard(monkeypatch, tmp_path, request.param)


@pytest.fixture
def copy(text_package: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(text_package, tmp_path / "copy.edge"))


def test_a_package_is_finalized_and_predicts_by_its_engine(board, copy, questions, recwarn):
    _, (done, *_) = finalize_package(copy, FP16)
    assert done.hop.passed
    assert done.hop.tolerance == "fp16"
    assert done.latency["p50_us"] > 0
    model = modelgpt_edge.load(copy, FP16)
    assert [str(w.message) for w in recwarn if w.category is RuntimeWarning] == []
    texts = [row["text"] for row in questions] * 2  # more of a length than the engine takes at once
    truth = modelgpt_edge.load(copy, "model").predict_proba([*texts, "", "a long text " * 200])
    got = model.predict_proba([*texts, "", "a long text " * 200])
    assert np.abs(got - truth).max() < TOLERANCES["fp16"].max_abs
    assert np.abs(got - truth).max() > 0, "another form than fp32 ran"


def test_the_recipe_tells_what_an_engine_takes(copy):
    package = open_package(copy)
    path = package.file(f"variants/{FP16}/recipe.json")
    values = json.loads(path.read_bytes())["input"]
    length = package.manifest.architecture["tokens"]
    best = min(16, length)
    assert values == {"name": "codes", "shape": {"min": [1, 1], "opt": [1, best], "max": [32, length]}}
    recipe = Recipe.read(path)
    assert recipe.feed == Feed("codes", (1, 1), (1, best), (32, length))
    assert recipe.flags == ("STRONGLY_TYPED", "REFIT", "ROWS_1_TO_32", f"TOKENS_1_TO_{length}")


def test_pairs_are_fed_twice_the_length(tiny):
    head = TextHead(np.zeros((tiny.width(pairs=True), 2), np.float32), np.zeros(2, np.float32))
    source = TextSource(tiny, head, ("same", "other"), "0", columns=("one", "two"))
    assert Feed.of(source).most == (32, 2 * tiny.files.length)


@pytest.mark.parametrize(("precision", "least"), [(HALF, 0.99999), ("int8", 0.97)])
@pytest.mark.parametrize("pairs", [False, True], ids=["texts", "pairs"])
def test_what_is_typed_points_the_same_way(pairs, precision, least, real, questions):
    texts = [row["text"] for row in questions[::7]]
    columns = [texts, texts[::-1]] if pairs else [texts]
    graph = Graph("typed")
    graph.output(real.add_to(graph, real.products(precision), pairs), "embedding", "float32", real.width(pairs))
    session = open_session(graph.model("").SerializeToString(), fuse_quantised=False)
    codes = real.codes(*columns)
    got, exact = TokensExecutor(session).run(np.zeros((len(codes), 0), np.float32), codes), real.embed(*columns)
    cosines = (got * exact).sum(1) / np.linalg.norm(got, axis=1) / np.linalg.norm(exact, axis=1)
    assert cosines.min() > least


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_every_type_is_one_that_tensorrt_takes(precision, tiny):
    source = TextSource(tiny, TextHead(np.zeros((tiny.width(), 3), np.float32), np.zeros(3, np.float32)), ("a", "b", "c"), "0")
    made = TensorRt().compile(source, NANO, precision)
    assert set(made.files) == {"model.onnx", "tokenizer.json", "recipe.json"}
    assert made.front == "tokens"
    model = onnx.load_from_string(made.files["model.onnx"])
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {"DynamicQuantizeLinear", "MatMulInteger"}
    zeros = [constants[n.input[2]] for n in model.graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert all(zero.dtype == np.int8 and not zero.any() for zero in zeros)
    assert bool(zeros) == (precision == "int8")
    products = [constants[i].dtype for n in model.graph.node if n.op_type == "MatMul" for i in n.input if i in constants]
    assert set(products) == ({np.dtype(np.float16)} if precision == "fp16" else set())
