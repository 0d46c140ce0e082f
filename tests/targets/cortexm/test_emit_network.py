"""Networks: the numpy forward pass against ONNX Runtime, and both C forms against the numpy one."""

import subprocess
from itertools import pairwise

import numpy as np
import onnx
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from modelgpt_edge.errors import InputError
from modelgpt_edge.network import Conv2D, Dense, Flatten, GlobalAveragePool, MaxPool, Network, ReLU, Softmax
from modelgpt_edge.network_onnx import network_to_onnx
from modelgpt_edge.targets.cortexm.host import open_on_host
from modelgpt_edge.targets.cortexm.network import emit_network
from modelgpt_edge.targets.native.toolchain import find_compiler
from modelgpt_edge.targets.onnxruntime import open_session

NAMES = (
    "mlp",
    "mlp of odd sizes",
    "one layer",
    "softmax alone",
    "a row that ends in relu",
    "convolutions",
    "lopsided padding, odd channels",
    "kernels that hang over on both sides",
    "depthwise",
    "pools",
    "maps all the way",
    "relu first",
)
needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler here")


def run(emitted, x):
    return open_on_host(emitted.files).run(x.reshape(len(x), -1), np.zeros((len(x), 0), np.int32))


def test_every_network_is_tried(drawn):
    assert tuple(drawn.networks()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_numpy_forward_is_onnx_runtime_s(drawn, name):
    network = drawn.networks()[name]
    x = drawn.inputs_of(network, rows=4)
    model = network_to_onnx(network)
    onnx.checker.check_model(model)
    session = open_session(model.SerializeToString())
    first = x.transpose(0, 3, 1, 2) if x.ndim == 4 else x
    theirs = np.concatenate([session.run(None, {"x": row[None]})[0] for row in first])
    theirs = theirs.transpose(0, 2, 3, 1) if theirs.ndim == 4 else theirs
    ours = network.forward(x)
    assert ours.shape == (4, *network.shapes()[-1]) == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-5 * max(1, np.abs(theirs).max())


@needs_compiler
@pytest.mark.parametrize("name", NAMES)
def test_the_fp32_form_is_the_reference(drawn, name):
    network = drawn.networks()[name]
    x = drawn.inputs_of(network)
    expected = network.forward(x).reshape(len(x), -1)
    got = run(emit_network(network, "fp32"), x)
    assert np.abs(got - expected).max() < 1e-6 * max(1, np.abs(expected).max())


@needs_compiler
@pytest.mark.parametrize("name", NAMES)
def test_the_int8_form_is_near_the_reference(drawn, name):
    network = drawn.networks()[name]
    x, calibration = drawn.inputs_of(network), drawn.inputs_of(network, rows=64, seed=2)
    expected = network.forward(x).reshape(len(x), -1)
    noise = run(emit_network(network, "int8", calibration), x) - expected
    # Signal to noise of 30 dB, which is what int8 maps give; rows are far better.
    assert (noise**2).mean() < 1e-3 * (expected**2).mean()


@needs_compiler
def test_int8_rows_are_better_than_int8_alone_could_be(drawn):
    network = drawn.networks()["mlp"]
    x, calibration = drawn.inputs_of(network, rows=500), drawn.inputs_of(network, rows=64, seed=2)
    expected = network.forward(x)
    got = run(emit_network(network, "int8", calibration), x)
    # 40 dB; maps and rows of int8 stay below that.
    assert ((got - expected) ** 2).mean() < 1e-4 * (expected**2).mean()
    assert (got.argmax(1) == expected.argmax(1)).mean() >= 0.995


@needs_compiler
def test_int8_labels_of_a_convolutional_network_agree_on_held_out_digits():
    """Random convolutions under a head fitted to scikit-learn's digits: real inputs, real margins."""
    data = load_digits()
    x = (data.images[..., None] / 16).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(x))
    train, test = order[:1200], order[1200:]
    r = np.random.default_rng(3)

    def conv(channels, outputs):
        weight = (r.normal(size=(3, 3, channels, outputs)) / (3 * np.sqrt(channels))).astype(np.float32)
        return Conv2D(weight, (0.1 * r.normal(size=outputs)).astype(np.float32), 1, (1, 1, 1, 1), True)

    trunk = (conv(1, 16), MaxPool(2, 2), conv(16, 32), Flatten())
    features = Network((8, 8, 1), trunk).forward(x)
    head = LogisticRegression(max_iter=500).fit(features[train], data.target[train])
    last = Dense(head.coef_.T.astype(np.float32), head.intercept_.astype(np.float32))
    network = Network((8, 8, 1), (*trunk, last, Softmax()))
    expected = network.forward(x[test])
    assert (expected.argmax(1) == data.target[test]).mean() > 0.95
    got = run(emit_network(network, "int8", x[train[:200]]), x[test])
    assert (got.argmax(1) == expected.argmax(1)).mean() >= 0.995


@needs_compiler
def test_inputs_beyond_calibration_and_no_numbers_at_all_are_held(drawn):
    network = drawn.networks()["convolutions"]
    calibration = np.abs(drawn.inputs_of(network, rows=8))
    emitted = emit_network(network, "int8", calibration)
    x = np.zeros((4, *network.input_shape), np.float32)
    x[1], x[2], x[3] = 1e30, -1e30, np.nan
    got = run(emitted, x)
    assert np.isfinite(got).all()
    assert (got[2] == got[0]).all()  # nothing below the least that calibration saw


@needs_compiler
def test_a_bias_larger_than_what_calibration_saw(drawn):
    r = np.random.default_rng(0)
    first = drawn.dense(r, 6, 8)
    large = first.bias.copy()
    large[0] = -1000.0
    network = Network((6,), (Dense(first.weight, large, True), drawn.dense(r, 8, 3)))
    x = drawn.inputs_of(network)
    expected = network.forward(x)
    noise = run(emit_network(network, "int8", x), x) - expected
    assert (noise**2).mean() < 1e-3 * (expected**2).mean()


@needs_compiler
@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("name", NAMES)
def test_it_compiles_without_a_warning_and_its_scratch_is_as_large_as_it_says(drawn, name, precision, tmp_path):
    network = drawn.networks()[name]
    emitted = emit_network(network, precision, drawn.inputs_of(network), "eye")
    (tmp_path / "eye.c").write_text(emitted.source, encoding="utf-8")
    (tmp_path / "eye.h").write_text(emitted.header, encoding="utf-8")
    check = '#include "eye.h"\nchar same[sizeof(eye_scratch) == EYE_SCRATCH_BYTES ? 1 : -1];\n'
    (tmp_path / "size.c").write_text(check)
    strict = ["-pedantic", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wno-sign-conversion", "-fsyntax-only"]
    for standard, file in (("c99", "eye.c"), ("c11", "eye.c"), ("c99", "size.c")):
        subprocess.run([find_compiler(), f"-std={standard}", *strict, tmp_path / file], check=True)
    assert f"SCRATCH_BYTES {emitted.scratch_bytes} " in emitted.header
    assert "model_" not in emitted.source + emitted.header


def test_two_buffers_never_overlap(drawn):
    """Each layer's output lies apart from its input: a sentinel for the plan that all forms share."""
    from modelgpt_edge.targets.cortexm.network_plan import Buffers

    sizes = [7, 100, 3, 64, 64, 1]
    plan = Buffers.of(sizes, 10)
    spans = [(start, start + size) for start, size in zip(plan.offsets, sizes)]
    assert all(a_end <= b or b_end <= a for (a, a_end), (b, b_end) in pairwise(spans))
    assert max(end for _, end in spans) <= plan.window <= plan.total - 10
    assert all(start % 4 == 0 for start in (*plan.offsets, plan.window))


@pytest.mark.parametrize(
    ("shape", "layers", "says"),
    [
        ((4,), (), "no layers"),
        ((4,), (Softmax(), ReLU()), "before the end"),
        ((5,), (Dense(np.zeros((4, 2), np.float32), np.zeros(2, np.float32)),), r"layer 0 of the network \(Dense\)"),
        ((4, 4, 1), (Conv2D(np.zeros((3, 3, 2, 1), np.float32), np.zeros(1, np.float32)),), "maps of 2 channels"),
        ((2, 2, 1), (Conv2D(np.zeros((3, 3, 1, 1), np.float32), np.zeros(1, np.float32)),), "doesn't fit"),
        ((4,), (GlobalAveragePool(),), "takes maps"),
        ((4, 4, 1), (Softmax(),), "row of scores"),
    ],
)
def test_layers_that_don_t_fit_together_are_refused(shape, layers, says):
    with pytest.raises(InputError, match=says):
        Network(shape, layers)


def test_int8_without_calibration_is_refused(drawn):
    network = drawn.networks()["mlp"]
    with pytest.raises(InputError, match="calibration"):
        emit_network(network, "int8")
    with pytest.raises(InputError, match="calibration"):
        emit_network(network, "int8", np.zeros((3, 29), np.float32))
