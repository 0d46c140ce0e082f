"""fp16 and int8 forms: what is stored how, and how far the outputs move."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from modelgpt_edge.compile.graph import core_graph, packed_graph
from modelgpt_edge.compile.precision import FP16, FP32, INT8
from modelgpt_edge.data.table import Rows
from modelgpt_edge.gate import TOLERANCES, compare
from modelgpt_edge.parameters.blend import Blend
from modelgpt_edge.parameters.evidence import emit_all
from modelgpt_edge.parameters.floor import fuse
from modelgpt_edge.parameters.prepare import Standard, classification_targets, encode
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
    emissions = emit_all(rows, targets, schema, Widths(64, 32, 32, 32), 2, np.random.default_rng(0))
    child = fuse(
        emissions, Blend(0.5 if classes else 1.0, float(linear), 1.0, 0.0).weights(2 if classes else 1), standard, names
    )
    return child, encode(child.encoder, rows)


@pytest.fixture(scope="module")
def wine():
    return emitted(load_wine)


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
    for precision in (FP32, FP16, INT8):
        model = core_graph(child, "0", precision)
        onnx.checker.check_model(model, full_check=True)
        hop = compare(precision.name, reference, run(model, encoded, reference.shape), precision.name)
        assert hop.passed, hop.line()
        errors.append(hop.relative_rms)
    # Fewer bits, more error: each form is really computed in its own precision.
    assert errors[0] < 1e-5 < errors[1] < errors[2]


def test_int8_weights_are_symmetric_per_output_channel(wine):
    child, _encoded = wine
    model = core_graph(child, "0", INT8)
    stored = constants(model)
    quantised = [n for n in model.graph.node if n.op_type == "DequantizeLinear" and n.input[0] in stored]
    width = child.encoder.width
    truth = {"skip": child.head_weight[:width], "dense": child.units.dense_weight, "head": child.head_weight[width:]}
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
    precision = INT8
    model = core_graph(child, "0", precision)
    stored = constants(model)
    quantisers = [n for n in model.graph.node if n.op_type == "QuantizeLinear"]
    assert len(quantisers) == 3
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
    child, _encoded = wine
    model = packed_graph(child, "0", INT8)
    onnx.checker.check_model(model, full_check=True)
    assert sum(n.op_type == "QuantizeLinear" for n in model.graph.node) == 3


def test_ranges_cover_what_rows_reach(wine):
    child, encoded = wine
    ranges = INT8.ranges
    assert ranges["skip"] >= np.abs(encoded).max() - 1e-5
    assert ranges["dense"] >= np.abs(encoded).max() - 1e-5
    assert ranges["head"] >= child.units.activate(encoded).max() - 1e-5


def test_a_column_of_weights_that_is_zero_is_no_division_by_zero(wine):
    child, encoded = wine
    weight = child.head_weight.copy()
    weight[:, 1] = 0
    flat = type(child)(child.encoder, child.units, weight, child.head_bias, child.classes)
    got = run(core_graph(flat, "0", INT8), encoded, (len(encoded), 3))
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
