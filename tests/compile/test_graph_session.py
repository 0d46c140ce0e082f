"""A graph opened with its constants where they lie, against the same graph written as bytes and against numpy."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from modelgpt_edge.graph_session import open_graph
from modelgpt_edge.onnx_nodes import LARGE, Graph
from modelgpt_edge.targets.onnxruntime import open_session, run_on_pictures

WIDTH, CLASSES = 64, 50


def a_graph(draw: np.random.Generator) -> tuple[Graph, dict[str, np.ndarray]]:
    """A graph of large constants of several types and small ones, and those constants: ``x`` [N, 64] to ``y`` [N, 50]."""
    given = {
        "wide": draw.normal(size=(WIDTH, WIDTH)).astype(np.float32),
        "half": draw.normal(size=(WIDTH, WIDTH)).astype(np.float16),
        "whole": draw.integers(-9, 9, (WIDTH, CLASSES), np.int8),
        "bias": draw.normal(size=CLASSES).astype(np.float32),
    }
    graph = Graph("test")
    x = graph.add("MatMul", graph.input("x", "float32", WIDTH), graph.constant("wide", given["wide"]))
    x = graph.add("MatMul", x, graph.add("Cast", graph.constant("half", given["half"]), to=TensorProto.FLOAT))
    x = graph.add("MatMul", x, graph.add("Cast", graph.constant("whole", given["whole"]), to=TensorProto.FLOAT))
    graph.output(graph.add("Add", x, graph.constant("bias", given["bias"])), "y", "float32", CLASSES)
    return graph, given


def test_it_says_to_the_bit_what_the_written_model_says():
    draw = np.random.default_rng(0)
    graph, given = a_graph(draw)
    x = draw.normal(size=(7, WIDTH)).astype(np.float32)
    (got,) = open_graph(graph).run(None, {"x": x})
    (written,) = open_session(graph.model("").SerializeToString()).run(["y"], {"x": x})
    np.testing.assert_array_equal(got, written)
    exact = x.astype(np.float64) @ given["wide"] @ given["half"].astype(np.float64) @ given["whole"] + given["bias"]
    np.testing.assert_allclose(got, exact, rtol=1e-3, atol=1e-3 * np.abs(exact).max())


def test_large_constants_are_not_copied_and_small_ones_stay_inside():
    graph, given = a_graph(np.random.default_rng(1))
    content, arrays = graph.apart()
    assert set(arrays) == {"wide", "half", "whole"} == {name for name, array in given.items() if array.nbytes >= LARGE}
    assert all(np.shares_memory(array, given[name]) for name, array in arrays.items())
    assert len(content) < 2 * LARGE
    assert given["bias"].tobytes() in content


def test_it_keeps_what_it_reads_when_nobody_else_does():
    draw = np.random.default_rng(2)
    x = draw.normal(size=(3, WIDTH)).astype(np.float32)
    graph, _ = a_graph(draw)
    session = open_graph(graph)
    (before,) = session.run(None, {"x": x})
    del graph, _
    gc.collect()
    rubbish = [np.full((WIDTH, WIDTH), np.nan, np.float32) for _ in range(500)]
    (after,) = session.run(None, {"x": x})
    np.testing.assert_array_equal(after, before)
    assert len(rubbish) == 500


def test_nodes_of_another_graph_keep_their_constants():
    weight = np.random.default_rng(3).normal(size=(WIDTH, WIDTH)).astype(np.float32)
    node = helper.make_node("MatMul", ["x", "weight"], ["z"])
    other = helper.make_graph([node], "other", [], [], [numpy_helper.from_array(weight, "weight")])
    graph = Graph("test")
    graph.input("x", "float32", WIDTH)
    graph.graft(other)
    graph.output("z", "y", "float32", WIDTH)
    (got,) = open_graph(graph).run(None, {"x": np.eye(WIDTH, dtype=np.float32)})
    np.testing.assert_array_equal(got, weight)


@pytest.mark.parametrize("count", [0, 1, 4, 5, 23])
def test_pictures_are_run_a_few_at_a_time_in_their_order(count):
    graph = Graph("test")
    values = graph.add("Cast", graph.input("pixels", "uint8", 2, 2, 3), to=TensorProto.FLOAT)
    for op in ("ReduceMax", "ReduceMin"):
        graph.output(graph.add(op, values, axes=[1, 2, 3], keepdims=0), op, "float32")
    pictures = np.random.default_rng(4).integers(0, 256, (count, 2, 2, 3), np.uint8)
    parts = list(run_on_pictures(open_graph(graph), pictures, ["ReduceMin"]))
    assert [i for place, _ in parts for i in range(count)[place]] == list(range(count))
    assert all(len(outputs) == 1 and len(outputs[0]) <= 4 for _, outputs in parts)
    got = np.concatenate([np.empty(0), *(outputs[0] for _, outputs in parts)])
    np.testing.assert_array_equal(got, pictures.reshape(count, -1).min(1) if count else [])


def test_what_fails_in_one_call_is_raised():
    graph = Graph("test")
    values = graph.add("Cast", graph.input("pixels", "uint8", 2, 2, 3), to=TensorProto.FLOAT)
    graph.output(graph.add("Flatten", values), "flat", "float32", 12)
    wrong = np.zeros((9, 3, 2, 3), np.uint8)
    with pytest.raises(Exception, match="pixels"):
        list(run_on_pictures(open_graph(graph), wrong))
