"""Children through TVM's compiled library against the numpy reference and ONNX Runtime: every kind of label and of units."""

from __future__ import annotations

import numpy as np
import pytest

from modelgpt_edge.gate import compare
from modelgpt_edge.parameters.units import Widths
from modelgpt_edge.targets.onnxruntime import open_session
from modelgpt_edge.targets.registry import find_target
from modelgpt_edge.targets.tvm.backend import Tvm

KINDS = {
    "two classes": (2, Widths(32, 16, 8, 8)),
    "five classes": (5, Widths(32, 16, 8, 8)),
    "values": (0, Widths(32, 16, 8, 8)),
    "no units": (3, None),
    "widths that fill no vector": (2, Widths(9, 7, 5, 3)),
}


@pytest.fixture
def opened(tmp_path, source_of):
    """Compiles a child for x86 and opens what was written."""

    def compile_and_open(child):
        artefact = Tvm().compile(source_of(child), find_target("x86"), "fp32")
        for name, content in artefact.files.items():
            (tmp_path / name).write_bytes(content)
        return artefact, Tvm().load(lambda name: tmp_path / name, find_target("x86"))

    return compile_and_open


@pytest.mark.parametrize("kind", KINDS)
def test_a_compiled_child_computes_what_numpy_does(kind, make_child, packed_rows, opened):
    classes, widths = KINDS[kind]
    child = make_child(classes, widths)
    artefact, executor = opened(child)
    assert artefact.front == "encoded"
    assert set(artefact.files) == {"model.so", "weights.safetensors", "encoder.safetensors"}
    numbers, codes = packed_rows(child)
    expected = child.outputs(child.encoder.encode(numbers, codes))
    got = executor.run(numbers, codes)
    assert got.dtype == np.float32
    assert np.ptp(expected, axis=0).max() > 1e-3, "rows that all answer alike would prove nothing"
    hop = compare(kind, expected, got, "fp32")
    assert hop.passed, hop.line()
    np.testing.assert_array_equal(executor.run(numbers[5:6], codes[5:6]), got[5:6])


def test_a_compiled_child_computes_what_onnx_runtime_does(make_child, packed_rows, opened, source_of):
    child = make_child(*KINDS["five classes"])
    _, executor = opened(child)
    numbers, codes = packed_rows(child)
    encoded = child.encoder.encode(numbers, codes)
    expected = open_session(source_of(child).onnx("encoded", "fp32")).run(None, {"encoded": encoded})[0]
    np.testing.assert_allclose(executor.run(numbers, codes), expected, atol=2e-6)


def test_no_rows_give_no_outputs(make_child, opened):
    child = make_child(*KINDS["two classes"])
    _, executor = opened(child)
    assert executor.run(np.zeros((0, 4), np.float32), np.zeros((0, 1), np.int32)).shape == (0, 2)


def test_threads_that_share_an_executor_get_their_own_answers(make_child, packed_rows, opened):
    from concurrent.futures import ThreadPoolExecutor

    child = make_child(*KINDS["two classes"])
    _, executor = opened(child)
    numbers, codes = packed_rows(child)
    alone = executor.run(numbers, codes)
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(lambda _: executor.run(numbers, codes), range(40)):
            np.testing.assert_array_equal(got, alone)


def test_the_artefact_tells_the_processor_and_the_memory_it_needs(make_child, opened):
    artefact, _ = opened(make_child(*KINDS["two classes"]))
    assert artefact.facts["cpu"] == "x86-64-v3"
    assert artefact.facts["scratch_bytes"] > 0


def test_profile_gives_quantiles_of_a_row(make_child, packed_rows, opened, tmp_path):
    child = make_child(*KINDS["two classes"])
    opened(child)
    times = Tvm().profile(lambda name: tmp_path / name, find_target("x86"), *packed_rows(child))
    assert 0 < times["p50_us"] <= times["p90_us"] <= times["p99_us"]
