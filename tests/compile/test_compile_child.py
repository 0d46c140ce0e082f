"""The compiler end to end on emitted children: what it keeps, what it measures, and which hop it blames."""

import json
from dataclasses import replace

import numpy as np
import pytest

from modelgpt_edge.compile import compiler, source
from modelgpt_edge.compile.compiler import compile_child
from modelgpt_edge.compile.graph import core_graph, packed_graph, raw_graph
from modelgpt_edge.data.table import Rows
from modelgpt_edge.errors import BudgetError, GateError
from modelgpt_edge.limits import Limits
from modelgpt_edge.parameters.blend import Blend
from modelgpt_edge.parameters.floor import emit_floor, emit_linear, fuse
from modelgpt_edge.parameters.prepare import Standard, classification_targets, encode, prepare
from modelgpt_edge.parameters.units import Widths
from modelgpt_edge.schema import Column, Schema
from modelgpt_edge.targets.native.toolchain import find_compiler
from modelgpt_edge.targets.onnxruntime import open_session
from modelgpt_edge.targets.registry import find_target


def made(classes=2, rows=120, noise=False, linear=False, offset=0.0):
    """A child, its rows, and its outputs on them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 3)).astype(np.float32)
    signal = rng.normal(size=rows) if noise else x[:, 0] * x[:, 1] + x[:, 2]
    labels = (
        np.digitize(signal, np.quantile(signal, np.linspace(0, 1, classes + 1)[1:-1])).astype(np.int32)
        if classes
        else signal + offset
    )
    rows_ = Rows({f"c{i}": c for i, c in enumerate(x.T)}, {"w": rng.choice(np.array(["p", "q"], object), rows)}, labels)
    names = tuple(f"k{i}" for i in range(classes))
    columns = (*(Column(n, "number") for n in rows_.numbers), Column("w", "category"))
    schema = Schema(columns, Column("y", "category"), "", "classification" if classes else "regression", "", names)
    standard = Standard(0.0, 1.0) if classes else Standard.of(labels)
    targets = classification_targets(labels, classes) if classes else standard.targets(labels)
    ready = prepare(rows_, targets, schema)
    floor = emit_floor(ready, targets, Widths(32, 16, 16, 16), 2, np.random.default_rng(0))
    emissions = {"linear": emit_linear(ready, targets), "floor": floor}
    blend = Blend(0.5 if classes else 1.0, float(linear), 1.0, 0.0)
    child = fuse(emissions, blend.weights(2 if classes else 1), standard, names)
    return child, rows_, child.outputs(encode(child.encoder, rows_))


X86, JETSON = find_target("x86"), find_target("jetson")
ORT, TRT = ("onnxruntime",), ("tensorrt",)


def spoil(monkeypatch, graph, change, precision=None):
    """Let a graph be made of a changed child, in one precision or in all."""
    real = {"packed_graph": packed_graph, "core_graph": core_graph}[graph]

    def spoiled(child, version, form):
        return real(change(child) if precision in (None, form.name) else child, version, form)

    monkeypatch.setattr(source, graph, spoiled)


@pytest.mark.parametrize("classes", [0, 2, 5])
@pytest.mark.parametrize("linear", [False, True], ids=["floor", "linear"])
def test_every_artefact_was_run_and_matched(classes, linear):
    child, rows, outputs = made(classes, linear=linear)
    compiled = compile_child(child, outputs, rows, (X86,), "0", backends=ORT)
    assert [h.name for h in compiled.hops[:2]] == ["fuse", "onnx"]
    assert all(h.passed for h in compiled.hops)
    whole = {"fp32", "fp16"}  # without hidden units nothing is left to quantise
    assert {c.precision for c in compiled.candidates} == (whole if linear else whole | {"int8", "int8-dynamic"})
    (kept,) = [c for c in compiled.candidates if c.kept]
    assert [h.name for h in compiled.hops[2:]] == [kept.hop.name]
    assert all(c.because for c in compiled.candidates if not c.kept)
    for candidate in compiled.candidates:
        assert candidate.checked == "runs here"
        assert candidate.note == ""
        assert 0 < candidate.profile["p50_us"] <= candidate.profile["p90_us"] <= candidate.profile["p99_us"]
        assert candidate.latency_us == candidate.profile["p50_us"]
        assert candidate.bytes == len(candidate.files["model.onnx"])
        feed = {"numbers": np.stack(list(rows.numbers.values()), axis=1), "codes": child.encoder.codes([rows.words["w"]])}
        got = open_session(candidate.files["model.onnx"]).run(None, feed)[0].reshape(outputs.shape)
        if candidate.precision == "int8-dynamic":
            continue  # its numbers depend on the rows beside them, golden ones in the compiler
        if classes:
            right = (outputs.argmax(1) == rows.labels).mean()
            assert candidate.training_accuracy == pytest.approx((got.argmax(1) == rows.labels).mean())
            assert candidate.agreement == pytest.approx((got.argmax(1) == outputs.argmax(1)).mean())
        else:
            spread = ((rows.labels - rows.labels.mean()) ** 2).sum()
            right = 1 - ((outputs[:, 0] - rows.labels) ** 2).sum() / spread
            residual = ((got[:, 0] - rows.labels) ** 2).sum() / spread
            assert candidate.training_accuracy == pytest.approx(1 - residual, abs=1e-5)
            assert candidate.agreement is None
        assert candidate.loss == pytest.approx(right - candidate.training_accuracy, abs=1e-5)


def test_every_usual_backend_of_a_target_is_in_the_package():
    child, rows, outputs = made(3)
    compiled = compile_child(child, outputs, rows, (X86, JETSON), "0")
    kept = {(c.target, c.backend) for c in compiled.candidates if c.kept}
    assert {("x86", "onnxruntime"), ("jetson-orin-nano", "tensorrt"), ("jetson-orin-nano", "onnxruntime")} <= kept
    assert (("x86", "native") in kept) == (find_compiler() is not None)
    assert {b for _, b in kept} <= {"native", "onnxruntime", "tensorrt"}


def test_jetson_gets_half_floats_int8_and_a_recipe_that_is_not_called_run(monkeypatch):
    monkeypatch.setattr(compiler, "require", lambda hops: None)  # how exact the forms are is asked elsewhere
    child, rows, outputs = made(5)
    compiled = compile_child(child, outputs, rows, (JETSON,), "0", backends=TRT)
    assert {c.precision for c in compiled.candidates} == {"fp16", "int8", "fp32"}
    for candidate in compiled.candidates:
        assert candidate.checked == "built, not run"
        assert "no NVIDIA Jetson Orin Nano" in candidate.note
        assert candidate.latency_us is None
        assert candidate.profile == {}
        assert set(candidate.files) == {"model.onnx", "encoder.safetensors", "recipe.json"}
        recipe = json.loads(candidate.files["recipe.json"])
        assert recipe["precision"] == candidate.precision
        assert recipe["sm"] == "sm_87"
        assert recipe["input"]["shape"]["opt"] == [1, child.encoder.width]


def test_the_processor_beside_a_gpu_gets_one_plain_form():
    child, rows, outputs = made()
    compiled = compile_child(child, outputs, rows, (JETSON,), "0", backends=ORT)
    assert [(c.precision, c.kept) for c in compiled.candidates] == [("fp32", True)]


@pytest.mark.parametrize("classes", [0, 2, 5])
def test_int8_holds_for_golden_rows_beyond_the_table(classes):
    child, table, outputs = made(classes)
    compiled = compile_child(child, outputs, table, (JETSON,), "0", backends=TRT)
    int8 = next(c for c in compiled.candidates if c.precision == "int8")
    assert int8.hop.passed, int8.hop.line()
    assert int8.kept or int8.agreement < 0.995 or int8.loss > 0.005
    assert "fp16" in {c.precision for c in compiled.candidates if c.kept}


@pytest.mark.parametrize("classes", [0, 3])
def test_a_child_without_hidden_units_has_no_int8_in_onnx(classes):
    child, table, outputs = made(classes, linear=True)
    compiled = compile_child(child, outputs, table, (X86, JETSON), "0", backends=(*ORT, *TRT))
    found = {(c.target, c.backend): set() for c in compiled.candidates}
    for candidate in compiled.candidates:
        found[candidate.target, candidate.backend].add(candidate.precision)
    assert found == {
        ("x86", "onnxruntime"): {"fp32", "fp16"},
        ("jetson-orin-nano", "tensorrt"): {"fp16", "fp32"},
        ("jetson-orin-nano", "onnxruntime"): {"fp32"},
    }


def test_an_int8_form_that_misses_its_tolerance_costs_the_form_not_the_build(monkeypatch):
    child, rows, outputs = made()
    spoil(monkeypatch, "core_graph", lambda c: shifted(c, 9), "int8")
    compiled = compile_child(child, outputs, rows, (JETSON,), "0", backends=TRT)
    assert {c.precision: c.kept for c in compiled.candidates} == {"fp16": True, "fp32": False, "int8": False}
    assert "jetson-orin-nano tensorrt int8" not in [h.name for h in compiled.hops]


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
def test_a_regression_on_noise_or_far_from_zero_compiles(offset):
    child, rows, outputs = made(0, noise=True, offset=offset)
    unfused = outputs + np.spacing(np.abs(outputs))  # one rounding
    assert compile_child(child, unfused, rows, (X86,), "0", backends=ORT).truth


@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_large_values_fit_into_the_fp16_form():
    child, rows, outputs = made(0, linear=True, offset=0.0)
    large = replace(child, head_weight=child.head_weight * np.float32(1e6), head_bias=child.head_bias * np.float32(1e6))
    rows = replace(rows, labels=rows.labels * 1e6)
    compiled = compile_child(large, outputs * np.float32(1e6), rows, (JETSON,), "0", backends=TRT)
    assert next(c for c in compiled.candidates if c.precision == "fp16").hop.passed


def broken(values, place=0, by=np.nan):
    values = values.copy()
    values.flat[place] = by
    return values


def test_nan_weights_are_blamed_on_emit():
    child, rows, outputs = made()
    head = replace(child, head_weight=broken(child.head_weight))
    units = replace(child, units=replace(child.units, sparse_bias=broken(child.units.sparse_bias, by=np.inf)))
    encoder = replace(child, encoder=replace(child.encoder, median=broken(child.encoder.median)))
    for bad, field in ((head, "head_weight"), (units, "sparse_bias"), (encoder, "median")):
        with pytest.raises(GateError, match=f"'emit'.*{field}") as raised:
            compile_child(bad, outputs, rows, (X86,), "0")
        assert raised.value.exit_code == 3


@pytest.mark.parametrize("classes", [0, 2])
def test_outputs_that_merging_changed_are_blamed_on_fuse(classes):
    child, rows, outputs = made(classes)
    wrong = outputs.copy()
    wrong[5] = wrong[5][::-1] if classes else wrong[5] + 1
    with pytest.raises(GateError, match="'fuse'"):
        compile_child(child, wrong, rows, (X86,), "0")


def shifted(child, by=0.05):
    return replace(child, head_bias=child.head_bias + np.float32([by, -by]))


def test_a_wrong_graph_is_blamed_on_onnx(monkeypatch):
    child, rows, outputs = made()
    monkeypatch.setattr(compiler, "raw_graph", lambda c, version: raw_graph(shifted(c), version))
    with pytest.raises(GateError, match="'onnx'"):
        compile_child(child, outputs, rows, (X86,), "0")


def test_a_wrong_variant_is_blamed_on_its_target_backend_and_precision(monkeypatch):
    child, rows, outputs = made()
    spoil(monkeypatch, "packed_graph", shifted)
    with pytest.raises(GateError, match="'x86 onnxruntime fp32'"):
        compile_child(child, outputs, rows, (X86,), "0", backends=ORT)


@pytest.mark.parametrize("limit", [1, 10**9])
def test_a_wrong_fp32_form_fails_the_build_though_it_or_another_fits_no_limit(limit, monkeypatch):
    child, rows, outputs = made()
    spoil(monkeypatch, "packed_graph", shifted, "fp32")
    with pytest.raises(GateError, match="'x86 onnxruntime fp32'"):
        compile_child(child, outputs, rows, (X86,), "0", Limits(flash_bytes=limit), ORT)


def test_int8_that_is_wrong_is_not_kept_and_says_why(monkeypatch):
    child, rows, outputs = made()
    spoil(monkeypatch, "packed_graph", lambda c: shifted(c, 9), "int8")
    candidates = compile_child(child, outputs, rows, (X86,), "0", backends=ORT).candidates
    int8 = next(c for c in candidates if c.precision == "int8")
    assert not int8.kept
    assert int8.because.startswith("leaves its tolerance: max difference")


@pytest.mark.parametrize(("target", "backends"), [(X86, ORT), (JETSON, TRT)], ids=["x86", "jetson"])
def test_a_flash_limit_keeps_what_fits_and_is_as_good_as_fp32(target, backends):
    child, rows, outputs = made()

    def compiled(limit):
        return compile_child(child, outputs, rows, (target,), "0", Limits(flash_bytes=limit), backends).candidates

    fine = ("is no cheaper", "is larger, and no cheaper", "isn't needed beside fp16", "only saves storage here")
    good = [c for c in compiled(None) if c.kept or c.because in fine]
    assert {"fp32", "fp16"} <= {c.precision for c in good}
    small, large = min(c.bytes for c in good), max(c.bytes for c in good)
    for limit in (large, large - 1, small):
        kept = [c for c in compiled(limit) if c.kept]
        assert kept
        assert all(c.bytes <= limit for c in kept)
    with pytest.raises(BudgetError, match=f"no variant for {target.name} fits") as raised:
        compiled(small - 1)
    assert raised.value.exit_code == 5
    assert f"{small - 1:,} bytes of flash" in raised.value.seen


def test_a_target_s_own_limit_counts_beside_the_task_s():
    child, rows, outputs = made()
    tiny = replace(X86, flash_bytes=100)
    with pytest.raises(BudgetError, match="100 bytes of flash"):
        compile_child(child, outputs, rows, (tiny,), "0", Limits(flash_bytes=10**9), ORT)
