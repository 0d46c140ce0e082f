"""fp16 and int8 forms: what is stored how, and how far the outputs move."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from modelgpt_edge.child import Units, softmax
from modelgpt_edge.compile.graph import core_graph, packed_graph
from modelgpt_edge.compile.precision import FP32, Precision, quantised
from modelgpt_edge.compile.source import ChildSource, calibrate
from modelgpt_edge.data.table import Rows
from modelgpt_edge.gate import TOLERANCES, compare
from modelgpt_edge.parameters.blend import Blend
from modelgpt_edge.parameters.floor import emit_floor, emit_linear, fuse
from modelgpt_edge.parameters.prepare import Standard, classification_targets, encode, prepare
from modelgpt_edge.parameters.units import Widths
from modelgpt_edge.schema import Column, Schema
from modelgpt_edge.targets.onnxruntime import open_session


def emitted(load, linear=False):
    """A child of a real table, and its encoded rows."""
    x, y = load(return_X_y=True)
    classes = len(np.unique(y)) if len(np.unique(y)) < 10 else 0
    labels = y.astype(np.int32) if classes else y.astype(np.float64)
    rows = Rows({f"c{i}": column.astype(np.float32) for i, column in enumerate(x.T)}, {}, labels)
    names = tuple(f"k{i}" for i in range(classes))
    schema = Schema(
        tuple(Column(n, "number") for n in rows.numbers),
        Column("y", "category"),
        "",
        "classification" if classes else "regression",
        "",
        names,
    )
    standard = Standard(0.0, 1.0) if classes else Standard.of(labels)
    targets = classification_targets(labels, classes) if classes else standard.targets(labels)
    ready = prepare(rows, targets, schema)
    floor = emit_floor(ready, targets, Widths(64, 32, 32, 32), 2, np.random.default_rng(0))
    emissions = {"linear": emit_linear(ready, targets), "floor": floor}
    child = fuse(
        emissions, Blend(0.5 if classes else 1.0, float(linear), 1.0, 0.0).weights(2 if classes else 1), standard, names
    )
    return child, encode(child.encoder, rows)


@pytest.fixture(scope="module")
def wine():
    return emitted(load_wine)


FP16, DYNAMIC = Precision("fp16"), Precision("int8-dynamic")


def int8(child, encoded):
    """Static int8 with the ranges of these rows."""
    return Precision("int8", calibrate(child, encoded))


def run(model, encoded, shape):
    return open_session(model.SerializeToString()).run(None, {"encoded": encoded})[0].reshape(shape)


def constants(model):
    return {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer, load_diabetes], ids=["wine", "breast_cancer", "diabetes"])
@pytest.mark.parametrize("linear", [False, True], ids=["floor", "linear"])
def test_real_tables_stay_within_the_gate(load, linear):
    child, encoded = emitted(load, linear)
    reference = child.outputs(encoded)
    errors = []
    for precision in (FP32, FP16, int8(child, encoded)):
        model = core_graph(child, "0", precision)
        onnx.checker.check_model(model, full_check=True)
        hop = compare(precision.name, reference, run(model, encoded, reference.shape), precision.name)
        assert hop.passed, hop.line()
        errors.append(hop.relative_rms)
    # Fewer bits, more error: each form is really computed in its own precision. The linear part is never quantised.
    assert errors[0] < 1e-5 < errors[1]
    assert errors[2] == errors[0] if linear else errors[2] > errors[1]


def test_int8_weights_are_symmetric_per_output_channel(wine):
    child, encoded = wine
    model = core_graph(child, "0", int8(child, encoded))
    stored = constants(model)
    quantised = [n for n in model.graph.node if n.op_type == "DequantizeLinear" and n.input[0] in stored]
    width = child.encoder.width
    truth = {"dense": child.units.dense_weight, "head": child.head_weight[width:]}
    assert len(quantised) == len(truth)
    for node in quantised:
        weight, scale, zero = (stored[name] for name in node.input)
        assert weight.dtype == np.int8
        assert zero.dtype == np.int8
        assert not zero.any()
        assert {a.name: a.i for a in node.attribute}["axis"] == 1
        assert scale.shape == (weight.shape[1],)
        name = next(n for n, w in truth.items() if w.shape == weight.shape and np.abs(w - weight * scale).max() < scale.max())
        expected = truth.pop(name)
        assert np.abs(weight).max() <= 127
        assert (np.abs(weight).max(0) == 127).all()
        assert (np.abs(weight * scale - expected) <= scale * 0.501).all()
    assert not truth


def test_int8_activations_are_symmetric_and_biases_are_floats(wine):
    child, encoded = wine
    model = core_graph(child, "0", int8(child, encoded))
    stored = constants(model)
    quantisers = [n for n in model.graph.node if n.op_type == "QuantizeLinear"]
    assert len(quantisers) == 2
    scales = []
    for node in quantisers:
        assert stored[node.input[2]].dtype == np.int8
        assert stored[node.input[2]] == 0
        scales.append(stored[node.input[1]].item())
        (reader,) = [n for n in model.graph.node if node.output[0] in n.input]
        assert reader.op_type == "DequantizeLinear"  # explicit: every Q is followed by its DQ
        assert list(reader.input[1:]) == list(node.input[1:])
    for node in model.graph.node:
        if node.op_type == "Gemm":
            bias = stored.get(node.input[2])
            assert bias is None or bias.dtype == np.float32
    hidden = np.abs(child.units.activate(encoded)).max()
    assert max(scales) * 127 >= np.abs(encoded).max() - 1e-4
    assert min(scales) * 127 >= hidden - 1e-4
    assert max(scales) * 127 <= 5 + 1e-4


def test_fp16_stores_halves_and_takes_and_gives_floats(wine):
    child, _ = wine
    model = core_graph(child, "0", FP16)
    kinds = {i.name: i.data_type for i in model.graph.initializer}
    assert all(kinds[n] == TensorProto.FLOAT16 for n in kinds if n.endswith(("weight", "bias")))
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT
    sizes = [len(core_graph(child, "0", p).SerializeToString()) for p in (FP32, FP16)]
    assert sizes[1] < 0.6 * sizes[0]


def test_packed_graphs_quantise_too(wine):
    child, encoded = wine
    model = packed_graph(child, "0", int8(child, encoded))
    onnx.checker.check_model(model, full_check=True)
    assert sum(n.op_type == "QuantizeLinear" for n in model.graph.node) == 2


def test_ranges_are_what_rows_reach_and_no_more_than_the_template_can(wine):
    child, encoded = wine
    ranges = calibrate(child, encoded)
    assert set(ranges) == {"dense", "head"}
    assert ranges["dense"] == pytest.approx(float(np.abs(encoded).max()))
    assert ranges["head"] == pytest.approx(float(child.units.activate(encoded).max()), rel=1e-6)
    assert calibrate(child, encoded * 100) == {"dense": 5.0, "head": pytest.approx(1.0, abs=1e-6)}
    assert calibrate(child, encoded / 10)["dense"] == pytest.approx(ranges["dense"] / 10)


def test_units_that_stay_small_get_finer_steps(wine):
    child, encoded = wine
    width = child.encoder.width
    weight, bias = child.units.dense_weight * np.float32(0.01), np.zeros_like(child.units.dense_bias)
    small = replace(Units.none(width), dense_weight=weight, dense_bias=bias)
    quiet = replace(child, units=small)
    reached = float(np.abs(np.tanh(encoded @ small.dense_weight)).max())
    assert 0 < reached < 0.9
    assert calibrate(quiet, encoded)["head"] == pytest.approx(reached, rel=1e-5)


def test_rows_that_reach_nothing_leave_ranges_that_can_be_divided_by(wine):
    child, encoded = wine
    linear = replace(child, units=Units.none(child.encoder.width), head_weight=child.head_weight[: child.encoder.width])
    for rows in (encoded[:0], np.zeros_like(encoded)):
        assert calibrate(child, rows)["dense"] == 5
        assert 0 < calibrate(child, rows)["head"] <= 1
        assert calibrate(linear, rows) == {"dense": 5.0, "head": 1.0}
    assert calibrate(linear, encoded)["head"] == 1


def fake_quantised(x, largest):
    """Symmetric int8 of values with a given range, back as floats."""
    scale = np.float32(largest / 127)
    return np.clip(np.rint(x / scale), -128, 127) * scale


def dynamically_quantised(x):
    """What ONNX's DynamicQuantizeLinear makes of a tensor, back as floats: uint8 over the range that it has, zero included."""
    low, high = min(0.0, float(x.min())), max(0.0, float(x.max()))
    scale = np.float32((high - low) / 255)
    zero = np.clip(np.rint(-low / scale), 0, 255)
    return (np.clip(np.rint(x / scale) + zero, 0, 255) - zero) * scale


def by_hand(child, encoded, quantise):
    """Scores of a child whose products see their inputs through `quantise`, by name, and their weights in int8 per column."""

    def product(name, x, weight):
        scale = np.maximum(np.abs(weight).max(0), 1e-9) / 127
        return quantise(name, x).astype(np.float64) @ (np.rint(weight / scale) * scale)

    width, (dense, _, _) = child.encoder.width, child.units.counts
    hidden = child.units.activate(encoded)
    hidden[:, :dense] = np.tanh(product("dense", encoded, child.units.dense_weight) + child.units.dense_bias)
    linear = encoded.astype(np.float64) @ child.head_weight[:width] + child.head_bias
    return linear + product("head", hidden, child.head_weight[width:])


@pytest.mark.parametrize("load", [load_wine, load_diabetes], ids=["wine", "diabetes"])
def test_int8_graphs_compute_what_integers_would(load):
    """Against the arithmetic written out in numpy; one step of rounding, at a tie, is all that may differ."""
    child, encoded = emitted(load)
    ranges = calibrate(child, encoded)
    forms = (
        (Precision("int8", ranges), lambda name, x: fake_quantised(x, ranges[name])),
        (DYNAMIC, lambda name, x: dynamically_quantised(x)),
    )
    unit = 1.0 if child.classes else np.abs(child.outputs(encoded)).std()
    for precision, quantise in forms:
        expected = by_hand(child, encoded, quantise)
        expected = softmax(expected) if child.classes else expected
        got = run(core_graph(child, "0", precision), encoded, expected.shape)
        exact = child.outputs(encoded)
        assert np.abs(got - expected).max() / unit < 2e-3, precision.name
        # The rounding that both share is larger than what they differ by, so this compares roundings.
        assert np.sqrt(((got - exact) ** 2).mean()) > 5 * np.sqrt(((got - expected) ** 2).mean()), precision.name


def test_dynamic_int8_holds_the_gate_and_needs_no_ranges(wine):
    child, encoded = wine
    model = core_graph(child, "0", DYNAMIC)
    onnx.checker.check_model(model, full_check=True)
    assert [n.op_type for n in model.graph.node].count("MatMulInteger") == 2
    assert not [n for n in model.graph.node if n.op_type == "QuantizeLinear"]
    reference = child.outputs(encoded)
    assert compare("x", reference, run(model, encoded, reference.shape), "int8-dynamic").passed
    # Rows far beyond the table's find their own range, which static int8 clips to the calibrated one.
    inner = encoded / 10
    static = core_graph(child, "0", int8(child, inner))
    errors = [np.abs(run(m, encoded, reference.shape) - reference).max() for m in (model, static)]
    assert errors[0] < errors[1] / 2


def test_int8_forms_take_a_third_of_the_bytes_of_their_products(wine):
    child, encoded = wine
    products = child.units.dense_weight.size + child.units.count * len(child.classes)
    plain = len(core_graph(child, "0", FP32).SerializeToString())
    for precision in (int8(child, encoded), DYNAMIC):
        assert plain - len(core_graph(child, "0", precision).SerializeToString()) > 0.6 * 4 * products - 4_000


def test_fp16_is_as_exact_as_half_floats_are():
    child, encoded = emitted(load_breast_cancer)
    reference = child.outputs(encoded)
    got = run(core_graph(child, "0", FP16), encoded, reference.shape)
    assert 1e-6 < np.abs(got - reference).max() < 2e-2
    assert (got.argmax(1) == reference.argmax(1)).mean() > 0.995


def test_quantised_weights_are_within_half_a_step():
    weight = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32) * np.float32([1e-3, 1, 1e3, 0])
    stored, scale = quantised(weight)
    assert stored.dtype == np.int8
    assert scale.dtype == np.float32
    assert (np.abs(stored * scale.astype(np.float64) - weight) <= scale * 0.5001).all()
    assert np.abs(stored).max(0).tolist() == [127, 127, 127, 0]


def test_a_source_makes_each_graph_once_and_names_the_version(wine):
    child, encoded = wine
    source = ChildSource(child, "1.2.3", calibrate(child, encoded))
    made = {
        (front, p): source.onnx(front, p) for front in ("packed", "encoded") for p in ("fp32", "fp16", "int8", "int8-dynamic")
    }
    assert len(set(made.values())) == len(made)
    assert all(source.onnx(*key) is content for key, content in made.items())
    assert onnx.load_from_string(made["encoded", "int8"]).producer_version == "1.2.3"
    assert [i.name for i in onnx.load_from_string(made["encoded", "fp32"]).graph.input] == ["encoded"]
    assert [i.name for i in onnx.load_from_string(made["packed", "fp32"]).graph.input] == ["numbers"]


def test_a_column_of_weights_that_is_zero_is_no_division_by_zero(wine):
    child, encoded = wine
    weight = child.head_weight.copy()
    weight[:, 1] = 0
    flat = type(child)(child.encoder, child.units, weight, child.head_bias, child.classes)
    got = run(core_graph(flat, "0", int8(child, encoded)), encoded, (len(encoded), 3))
    assert np.isfinite(got).all()


def test_tolerances_grow_as_bits_shrink():
    assert TOLERANCES["fp32"].max_abs < TOLERANCES["fp16"].max_abs < TOLERANCES["int8"].max_abs
    assert TOLERANCES["fp32"].agreement == 1


@pytest.mark.parametrize("largest", [2.0, 1.0, 0.0, 1e7])
def test_values_far_from_zero_come_out_of_halves(largest):
    child, encoded = emitted(load_diabetes, linear=True)
    weight = np.zeros_like(child.head_weight)
    weight[0] = largest
    child = replace(child, head_weight=weight, head_bias=np.array([3e5], np.float32))
    reference = child.outputs(encoded)
    got = run(core_graph(child, "0", FP16), encoded, reference.shape)
    assert np.abs(got - reference).max() < 2e-3 * max(largest, 30)
