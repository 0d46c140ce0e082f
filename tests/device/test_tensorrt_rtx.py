"""TensorRT-RTX itself: engines ahead of time for PCs, and the parser as a proxy for a Jetson's. Built, never run: no GPU here.

Needs tensorrt-rtx-cu13 in this environment, or in the one whose Python MODELGPT_EDGE_RTX_PYTHON names.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import modelgpt_edge
from modelgpt_edge.compile.graph import core_graph
from modelgpt_edge.compile.precision import Precision
from modelgpt_edge.compile.source import ChildSource
from modelgpt_edge.data.table import Rows
from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.gate import compare
from modelgpt_edge.manifest import CHECKS
from modelgpt_edge.onnx_nodes import Graph
from modelgpt_edge.parameters.blend import Blend
from modelgpt_edge.parameters.floor import emit_floor, emit_linear, fuse
from modelgpt_edge.parameters.prepare import Standard, classification_targets, prepare
from modelgpt_edge.parameters.units import Widths
from modelgpt_edge.schema import Column, Schema
from modelgpt_edge.targets.registry import find_target
from modelgpt_edge.targets.tensorrt.backend import MODEL
from modelgpt_edge.targets.tensorrt.building import build_engine
from modelgpt_edge.targets.tensorrt.executor import ENCODER
from modelgpt_edge.targets.tensorrt.feed import Feed
from modelgpt_edge.targets.tensorrt.recipe import RECIPE, Recipe
from modelgpt_edge.targets.tensorrt_rtx.backend import CAPABILITIES, ENGINE, TensorRtRtx
from modelgpt_edge.targets.tensorrt_rtx.building import PACKAGE, build_ahead
from modelgpt_edge.targets.tensorrt_rtx.proxy import proxy_check

pytestmark = pytest.mark.device

RANGES = {"skip": 5.0, "dense": 5.0, "head": 1.0}
PRECISIONS = ("fp16", "int8", "fp32")
NANO = find_target("jetson")


def child_of(classes: int, linear: bool = False) -> Any:
    """A child with units of every kind, emitted for a small table."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3)).astype(np.float32)
    signal = x[:, 0] * x[:, 1] + x[:, 2]
    edges = np.quantile(signal, np.linspace(0, 1, max(classes, 1) + 1)[1:-1])
    labels = np.digitize(signal, edges).astype(np.int32) if classes else signal
    rows = Rows({f"c{i}": c for i, c in enumerate(x.T)}, {"w": rng.choice(np.array(["p", "q"], object), 120)}, labels)
    names = tuple(f"k{i}" for i in range(classes))
    columns = (*(Column(n, "number") for n in rows.numbers), Column("w", "category"))
    schema = Schema(columns, Column("y", "category"), "", "classification" if classes else "regression", "", names)
    standard = Standard(0.0, 1.0) if classes else Standard.of(labels)
    targets = classification_targets(labels, classes) if classes else standard.targets(labels)
    ready = prepare(rows, targets, schema)
    floor = emit_floor(ready, targets, Widths(32, 16, 16, 16), 2, np.random.default_rng(0))
    emissions = {"linear": emit_linear(ready, targets), "floor": floor}
    blend = Blend(0.5 if classes else 1.0, float(linear), 1.0, 0.0)
    return fuse(emissions, blend.weights(2 if classes else 1), standard, names)


def mlp(precision: str, bias_as_int32: bool = False) -> bytes:
    """Gemm and ReLU, 30-64-64-3, in a precision; with the bias as quantisers make it by default where asked."""
    rng = np.random.default_rng(0)
    graph, how = Graph("mlp"), Precision(precision, {f"layer{i}": 5.0 for i in range(3)})
    x = how.enter(graph, graph.input("encoded", "float32", 30))
    for i, (rows, columns) in enumerate([(30, 64), (64, 64), (64, 3)]):
        bias: Any = rng.normal(size=columns).astype(np.float32)
        if bias_as_int32:
            scales = graph.constant("bias_scale", np.full(columns, 1e-4, np.float32))
            stored = graph.constant("bias", np.rint(bias * 1e4).astype(np.int32))
            bias = graph.add("DequantizeLinear", stored, scales, axis=0)
        x = how.gemm(graph, f"layer{i}", x, rng.normal(size=(rows, columns)).astype(np.float32) / 8, bias)
        x = graph.add("Relu", x) if i < 2 else how.leave(graph, x)
    graph.output(graph.add("Softmax", x, axis=1), "probabilities", "float32", 3)
    return graph.model("0").SerializeToString()


def test_the_library_is_here_in_the_version_that_the_project_pins():
    found = TensorRtRtx().probe()
    assert found.available, f"{found.reason}: {found.how_to_get_it}"
    assert PACKAGE.endswith(f"=={found.version}")


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    ("classes", "linear"), [(2, False), (5, False), (0, False), (2, True)], ids=["binary", "five", "value", "linear"]
)
def test_a_childs_core_is_built_ahead_for_every_gpu_that_has_its_types(classes, linear, precision):
    source = ChildSource(child_of(classes, linear), "0", RANGES)
    made = TensorRtRtx().compile(source, find_target("rtx"), precision)
    assert set(made.files) == {MODEL, ENCODER, ENGINE, RECIPE}
    assert len(made.files[ENGINE]) == made.facts["engine_bytes"] > 10_000
    assert made.facts["engine_for"] == [f"sm_{c}" for c in CAPABILITIES[precision]]
    recipe = json.loads(made.files[RECIPE])
    assert recipe["tensorrt_rtx"] == made.facts["tensorrt_rtx"]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_stand_in_of_what_was_built_computes_the_reference(precision, tmp_path):
    child = child_of(5)
    made = TensorRtRtx().compile(ChildSource(child, "0", RANGES), find_target("rtx"), precision)
    for name, content in made.files.items():
        (tmp_path / name).write_bytes(content)
    numbers = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    codes = np.zeros((50, 1), np.int32)
    got = TensorRtRtx().stand_in(lambda name: tmp_path / name, find_target("rtx")).run(numbers, codes)
    assert compare("stand-in", child.outputs(child.encoder.encode(numbers, codes)), got, precision).passed


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("capability", ["75", "80", "86", "89", "120", "121"])
def test_each_gpu_alone_takes_what_it_is_said_to_take(capability, precision):
    onnx = core_graph(child_of(2), "0", Precision(precision, RANGES)).SerializeToString()
    built = build_ahead(onnx, [capability])
    if capability in CAPABILITIES[precision]:
        assert built.trouble == ""
    else:
        assert "FP32 GEMM is not supported" in built.trouble, "Turing may take it by now: widen CAPABILITIES"


@pytest.mark.filterwarnings("ignore:Use .* instead:DeprecationWarning")  # timing caches do nothing in TensorRT-RTX
@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_finalize_asks_of_tensorrt_the_real_bindings_of_its_family_understand(library, precision, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    child, told = child_of(2), []
    onnx = core_graph(child, "0", Precision(precision, RANGES)).SerializeToString()
    recipe = Recipe.of(NANO, precision, Feed.encoded(child.encoder.width))
    plan = build_engine(library, onnx, recipe, "sm_86", 64 << 20, "building", lambda stage, share: told.append(share))
    assert len(plan.content) > 10_000
    assert told == sorted(told)
    assert 0 < told[0] <= told[-1] <= 1
    with pytest.raises(TargetUnavailableError, match="TensorRT doesn't take the model: node"):
        build_engine(library, onnx[:-40], recipe, "sm_86", 64 << 20, "building", lambda stage, share: None)


@pytest.mark.filterwarnings("ignore:Use .* instead:DeprecationWarning")
def test_an_interrupt_stops_the_real_builder(library, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    child = child_of(2)
    onnx = core_graph(child, "0", Precision("fp16")).SerializeToString()

    def interrupted(stage: str, share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_engine(
            library, onnx, Recipe.of(NANO, "fp16", Feed.encoded(child.encoder.width)), "sm_86", 1 << 20, "b", interrupted
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_mlp_is_built_ahead_in_every_precision(precision):
    built = build_ahead(mlp(precision), CAPABILITIES[precision])
    assert built.trouble == ""
    assert built.engine


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("classes", [0, 2, 5])
def test_every_precision_of_a_jetson_passes_the_proxy(classes, precision):
    evidence = proxy_check(core_graph(child_of(classes), "0", Precision(precision, RANGES)).SerializeToString())
    assert evidence["passed"], evidence["trouble"]
    assert evidence["built_for"] == ["sm_86"]
    assert evidence["trouble"] == ""
    quantised = {kind: evidence["layers"].get(kind, 0) for kind in ("QUANTIZE", "DEQUANTIZE")}
    expected = {"QUANTIZE": 3, "DEQUANTIZE": 6} if precision == "int8" else {"QUANTIZE": 0, "DEQUANTIZE": 0}
    assert quantised == expected, "explicit types reach the network as they stand in the ONNX"
    assert evidence["int8_layers"] == (6 if precision == "int8" else 0)
    json.dumps(evidence, allow_nan=False)


def test_what_tensorrt_refuses_the_proxy_refuses_with_the_node():
    evidence = proxy_check(mlp("int8", bias_as_int32=True))
    assert not evidence["passed"]
    assert evidence["engine_bytes"] is None
    assert "dequantizelinear" in evidence["trouble"].lower(), evidence["trouble"]


@pytest.mark.parametrize("content", [b"", b"not a model", mlp("fp32")[:-40]])
def test_a_damaged_model_is_an_answer_and_no_crash(content):
    evidence = proxy_check(content)
    assert not evidence["passed"]
    assert evidence["trouble"]


def test_a_model_that_can_not_be_built_fails_the_compilation_with_the_librarys_words():
    source: Any = SimpleNamespace(front="packed", child=child_of(2), typed=lambda precision: mlp("int8", bias_as_int32=True))
    with pytest.raises(TargetUnavailableError, match="the int8 engine can't be built") as refused:
        TensorRtRtx().compile(source, find_target("rtx"), "int8")
    assert refused.value.exit_code == 4


def test_a_package_for_a_pc_holds_an_engine_and_says_that_it_was_not_run(tmp_path: Path, patients, cli):
    out = tmp_path / "patients.edge"
    modelgpt_edge.build("predict the outcome", patients, out=out, draws=1, target="rtx", generator="floor")
    engines = list(out.glob(f"variants/rtx-tensorrt-rtx-*/{ENGINE}"))
    assert engines
    checks = json.loads((out / CHECKS).read_bytes())
    built = [c for c in checks["candidates"] if c["backend"] == "tensorrt-rtx"]
    assert {c["precision"] for c in built} == set(PRECISIONS)
    assert all(c["status"] == "built, not run" for c in built)
    assert all(c["engine_bytes"] for c in built)
    assert cli("verify", out).code == 0
