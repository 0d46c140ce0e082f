"""The ONNX graphs against the numpy reference: every kind of column, hostile names, three fronts."""

import numpy as np
import onnx
import pytest

from modelgpt_edge.compile.graph import core_graph, packed_graph, raw_graph
from modelgpt_edge.compile.precision import FP32
from modelgpt_edge.data.table import Rows
from modelgpt_edge.parameters.blend import Blend
from modelgpt_edge.parameters.floor import emit_floor, emit_linear, fuse
from modelgpt_edge.parameters.prepare import Standard, classification_targets, encode, prepare
from modelgpt_edge.parameters.units import Widths
from modelgpt_edge.schema import Column, Schema
from modelgpt_edge.targets.onnxruntime import open_session

WIDTHS = Widths(16, 8, 8, 8)
ROWS = 90


def schema_of(rows, classes, dates=()):
    columns = [Column(n, "date" if n in dates else "number") for n in rows.numbers] + [
        Column(n, "category") for n in rows.words
    ]
    names = tuple(f"klasse {i} ü" for i in range(classes))
    return Schema(tuple(columns), Column("y", "category"), "", "classification" if classes else "regression", "", names)


def child_of(rows, classes, dates=(), linear=False, draws=2):
    """A child emitted for typed rows; 0 classes is a regression."""
    schema = schema_of(rows, classes, dates)
    standard = Standard(0.0, 1.0) if classes else Standard.of(rows.labels)
    targets = classification_targets(rows.labels, classes) if classes else standard.targets(rows.labels)
    ready = prepare(rows, targets, schema)
    floor = emit_floor(ready, targets, WIDTHS, draws, np.random.default_rng(0))
    emissions = {"linear": emit_linear(ready, targets), "floor": floor}
    blend = Blend(0.5 if classes else 1.0, 1.0 if linear else 0.2, 1.0, 0.0)
    return fuse(emissions, blend.weights(2 if classes else 1), standard, schema.classes)


def rows_of(kind, classes, seed=0):
    rng = np.random.default_rng(seed)
    labels = (np.arange(ROWS) % classes).astype(np.int32) if classes else rng.normal(50, 8, ROWS)
    gaps = rng.normal(labels, 1).astype(np.float32)
    gaps[::7] = np.nan
    infinite = rng.exponential(3, ROWS).astype(np.float32)
    infinite[3], infinite[4], infinite[5] = np.inf, -np.inf, np.nan
    numbers = {"plain": rng.normal(size=ROWS).astype(np.float32), "gaps": gaps, "infinite": infinite}
    numbers["constant"] = np.full(ROWS, 3, np.float32)
    days = rng.integers(9_000, 19_000, ROWS).astype(np.float32)
    days[::11] = np.nan
    words = {
        "colour": rng.choice(np.array(["rot", "grün", "blau", "", "青", " with space"], object), ROWS),
        "unique": np.array([f"id{i}" for i in range(ROWS)], object),
        "yes/no": np.where(labels > np.median(labels), "yes", "no").astype(object),
    }
    return {
        "mixed": Rows(numbers | {"when": days}, words, labels),
        "numbers": Rows(numbers, {}, labels),
        "one number": Rows({"gaps": gaps}, {}, labels),
        "words": Rows({}, words, labels),
        "words without repeats": Rows({"plain": numbers["plain"]}, {"unique": words["unique"]}, labels),
        "dates": Rows({"when": days}, {}, labels),
        "times": Rows({"when": (days + np.float32(0.25) * np.arange(ROWS)).astype(np.float32)}, {}, labels),
    }[kind]


def unseen(rows, seed=1):
    """Rows of the same columns with values and words that the child never saw."""
    rng = np.random.default_rng(seed)
    extremes = np.array([0, np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e-38, -1e20], np.float32)
    numbers = {n: np.concatenate([extremes, c[:20] * np.float32(1.01)]) for n, c in rows.numbers.items()}
    odd = np.array(["", "nie gesehen", "Rot", "rot ", "\0", "🙂", "x" * 3000, "klasse"], object)
    words = {n: np.concatenate([odd, rng.permutation(c)[:20]]) for n, c in rows.words.items()}
    return Rows(numbers, words, np.zeros(28, rows.labels.dtype))


def feed_of(rows):
    return {n: c[:, None] for n, c in (rows.numbers | rows.words).items()}


def packed_of(child, rows):
    encoder = child.encoder
    feed = {}
    if encoder.numbers:
        feed["numbers"] = np.stack([rows.numbers[n] for n in encoder.numbers], axis=1)
    if encoder.words:
        feed["codes"] = encoder.codes([rows.words[n] for n in encoder.words])
    return feed


def reference(child, rows):
    with np.errstate(all="ignore"):
        return child.outputs(encode(child.encoder, rows))


def check(model):
    """A valid model of standard operators, at the opset that the devices take."""
    onnx.checker.check_model(model, full_check=True)
    assert {o.domain: o.version for o in model.opset_import} == {"": 17, "ai.onnx.ml": 3}
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx.ml"}
    initializers = [i.name for i in model.graph.initializer]
    assert len(set(initializers)) == len(initializers)


def assert_close(got, expected):
    scale = max(1.0, float(np.abs(expected).std()))
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() < 2e-5 * scale


KINDS = ["mixed", "numbers", "one number", "words", "words without repeats", "dates", "times"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [0, 2, 4])
def test_the_raw_graph_is_the_reference(kind, classes):
    rows = rows_of(kind, classes)
    child = child_of(rows, classes)
    model = raw_graph(child, "0")
    check(model)
    session = open_session(model.SerializeToString())
    for some in (rows, unseen(rows), rows.take(slice(1))):
        outputs = session.run(None, feed_of(some))
        expected = reference(child, some)
        assert np.isfinite(expected).all()
        assert_close(outputs[-1].reshape(expected.shape), expected)
        if classes:
            clear = np.ptp(np.sort(expected, axis=1)[:, -2:], axis=1) > 1e-4
            assert np.array_equal(outputs[0][clear], np.array(child.classes)[expected.argmax(1)][clear])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [0, 3])
def test_packed_and_core_graphs_are_the_reference(kind, classes):
    rows = rows_of(kind, classes)
    child = child_of(rows, classes)
    packed, core = packed_graph(child, "0"), core_graph(child, "0", FP32)
    check(packed)
    check(core)
    assert {n.domain for n in core.graph.node} == {""}
    for some in (rows, unseen(rows), rows.take(slice(1))):
        expected = reference(child, some)
        got = open_session(packed.SerializeToString()).run(None, packed_of(child, some))[0]
        assert_close(got.reshape(expected.shape), expected)
        with np.errstate(all="ignore"):
            encoded = encode(child.encoder, some)
        got = open_session(core.SerializeToString()).run(None, {"encoded": encoded})[0]
        assert_close(got.reshape(expected.shape), expected)


@pytest.mark.parametrize("classes", [0, 3])
def test_a_linear_child_has_no_units_in_its_graph(classes):
    rows = rows_of("mixed", classes)
    child = child_of(rows, classes, linear=True)
    model = raw_graph(child, "0")
    check(model)
    assert not {"Tanh", "Sigmoid"} & {n.op_type for n in model.graph.node}
    expected = reference(child, rows)
    assert_close(open_session(model.SerializeToString()).run(None, feed_of(rows))[-1].reshape(expected.shape), expected)


def test_inputs_are_the_columns_and_outputs_what_the_template_promises():
    rows = rows_of("mixed", 2)
    model = raw_graph(child_of(rows, 2), "1.2.3")
    elements = {i.name: i.type.tensor_type.elem_type for i in model.graph.input}
    assert elements == {
        **dict.fromkeys(rows.numbers, onnx.TensorProto.FLOAT),
        **dict.fromkeys(rows.words, onnx.TensorProto.STRING),
    }
    for value in model.graph.input:
        rows_dim, columns_dim = value.type.tensor_type.shape.dim
        assert rows_dim.dim_param
        assert columns_dim.dim_value == 1
    assert [o.name for o in model.graph.output] == ["label", "probabilities"]
    assert model.graph.output[1].type.tensor_type.shape.dim[1].dim_value == 2
    assert (model.producer_name, model.producer_version) == ("modelgpt-edge", "1.2.3")
    regression = raw_graph(child_of(rows_of("mixed", 0), 0), "0")
    assert [o.name for o in regression.graph.output] == ["value"]


INNER = [
    "numbers", "codes", "code", "encoded", "median", "filled", "missing", "center", "scale", "standard", "rank", "flags",
    "one_hot", "hidden", "scores", "skip", "skip_weight", "head", "sparse_weight", "softmax", "concat", "cut", "numbers_2",
    "out_label", "labelencoder", "N", "value",
]  # fmt: skip
ODD = ["a/b", "Größe (m²)", "x y", "年齢", "a\tb", "'quoted\"", "🙂", "-", "0", "C:\\path", "a.b:0", "^x", "é"]


@pytest.mark.parametrize("names", [INNER, ODD], ids=["names of inner values", "odd names"])
@pytest.mark.parametrize("kind", ["numbers", "words"])
def test_columns_may_have_any_name(names, kind):
    rng = np.random.default_rng(0)
    labels = (np.arange(ROWS) % 2).astype(np.int32)
    if kind == "numbers":
        rows = Rows({n: rng.normal(labels).astype(np.float32) for n in names}, {}, labels)
        rows.numbers[names[0]][::5] = np.nan
    else:
        cells = {n: rng.choice(np.array(["p", "q"], object), ROWS) for n in names}
        rows = Rows({"x": rng.normal(labels).astype(np.float32)}, cells, labels)
    child = child_of(rows, 2, draws=1)
    model = raw_graph(child, "0")
    check(model)
    expected = reference(child, rows)
    assert_close(open_session(model.SerializeToString()).run(None, feed_of(rows))[-1], expected)


@pytest.mark.parametrize("name", ["label", "probabilities"])
def test_columns_may_be_called_as_the_outputs_are(name):
    rng = np.random.default_rng(0)
    labels = (np.arange(ROWS) % 2).astype(np.int32)
    rows = Rows({name: rng.normal(labels).astype(np.float32)}, {}, labels)
    child = child_of(rows, 2, draws=1)
    model = raw_graph(child, "0")
    check(model)
    assert_close(open_session(model.SerializeToString()).run(None, feed_of(rows))[-1], reference(child, rows))


def test_a_column_of_a_regression_may_be_called_value():
    rows = Rows({"value": np.arange(ROWS, dtype=np.float32)}, {}, np.arange(ROWS) * 2.0)
    child = child_of(rows, 0, draws=1)
    model = raw_graph(child, "0")
    check(model)
    assert_close(open_session(model.SerializeToString()).run(None, feed_of(rows))[-1].reshape(-1, 1), reference(child, rows))


@pytest.mark.parametrize(
    "column",
    [
        pytest.param([-3e38, 3e38, 3.1e38], id="a gap wider than float32"),
        pytest.param([0, 1e-42, 1], id="a gap narrower than 1 / float32's largest"),
        pytest.param([3, 3, np.inf], id="constant and infinite"),
    ],
)
def test_extreme_columns_are_the_reference_too(column):
    labels = (np.arange(ROWS) % 2).astype(np.int32)
    rng = np.random.default_rng(0)
    with np.errstate(all="ignore"):
        rows = Rows(
            {"c": np.resize(np.array(column, np.float32), ROWS), "x": rng.normal(labels).astype(np.float32)}, {}, labels
        )
        child = child_of(rows, 2, draws=1)
        session = open_session(raw_graph(child, "0").SerializeToString())
    for some in (rows, unseen(rows)):
        assert_close(session.run(None, feed_of(some))[-1], reference(child, some))


def test_weights_are_stored_once():
    child = child_of(rows_of("mixed", 3), 3)
    for model in (raw_graph(child, "0"), packed_graph(child, "0")):
        stored = sum(int(np.prod(i.dims)) for i in model.graph.initializer)
        assert stored < 1.2 * child.parameters
        assert len(model.SerializeToString()) < 4 * 1.2 * child.parameters + 15_000
