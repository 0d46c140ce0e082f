"""Other templates than the tabular one, compiled for this machine and held against ONNX Runtime: each rule of the schedule."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from modelgpt_edge.targets.onnxruntime import open_session
from modelgpt_edge.targets.tvm.arguments import weights_file
from modelgpt_edge.targets.tvm.compiler import compile_template
from modelgpt_edge.targets.tvm.library import Core
from modelgpt_edge.targets.tvm.machine import processor_named
from modelgpt_edge.targets.tvm.template import open_template


class Net:
    """An ONNX graph under construction, with random weights."""

    def __init__(self, *shape: int) -> None:
        self.rng = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.input = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *shape[1:]])
        self.x = self.rng.normal(size=shape).astype(np.float32)

    def weight(self, *shape: int) -> str:
        values = (self.rng.normal(size=shape) / np.sqrt(max(shape[-1], 4))).astype(np.float32)
        return self.constant(values)

    def constant(self, values: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def add(self, op: str, *inputs: str, **attributes: object) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def model(self, output: str, outputs: int) -> bytes:
        out = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", outputs])
        graph = helper.make_graph(self.nodes, "net", [self.input], [out], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9).SerializeToString()


def mlp(net: Net) -> str:
    """Weights stored both ways, a width that fills no vector, and few outputs."""
    x = net.add("Relu", net.add("Gemm", "x", net.weight(24, 30), net.weight(24), transB=1))
    x = net.add("Tanh", net.add("Gemm", x, net.weight(24, 19), net.weight(19)))
    x = net.add("Sigmoid", net.add("MatMul", x, net.weight(19, 64)))
    return net.add("Softmax", net.add("Gemm", x, net.weight(3, 64), net.weight(3), transB=1), axis=-1)


def cnn(net: Net) -> str:
    """Strides, padding, a depthwise convolution, pooling, and odd picture sizes."""
    x = net.add("Relu", net.add("Conv", "x", net.weight(16, 3, 3, 3), net.weight(16), pads=[1, 1, 1, 1]))
    x = net.add("Relu", net.add("Conv", x, net.weight(16, 1, 3, 3), net.weight(16), pads=[1, 1, 1, 1], group=16))
    x = net.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.add("Relu", net.add("Conv", x, net.weight(24, 16, 3, 3), net.weight(24), strides=[2, 2]))
    x = net.add("Flatten", net.add("GlobalAveragePool", x))
    return net.add("Gemm", x, net.weight(10, 24), net.weight(10), transB=1)


def attention(net: Net) -> str:
    """One head over 16 tokens of width 40, normalised, with a GELU behind it."""
    query, key, value = (net.add("MatMul", "x", net.weight(40, 40)) for _ in range(3))
    scores = net.add("MatMul", query, net.add("Transpose", key, perm=[0, 2, 1]))
    scores = net.add("Mul", scores, net.constant(np.float32(40**-0.5)))
    mixed = net.add("Add", "x", net.add("MatMul", net.add("Softmax", scores, axis=-1), value))
    normal = net.add("LayerNormalization", mixed, net.weight(40), net.weight(40), axis=-1, epsilon=1e-5)
    grown = net.add("Gelu", net.add("MatMul", normal, net.weight(40, 64)))
    return net.add("Exp", net.add("ReduceMean", grown, net.constant(np.array([1], np.int64)), keepdims=0))


NETS = {"mlp": (mlp, (1, 30), 3), "cnn": (cnn, (1, 3, 13, 13), 10), "attention": (attention, (1, 16, 40), 64)}


@pytest.mark.parametrize("name", NETS)
def test_a_network_computes_what_onnx_runtime_does(name, tmp_path):
    make, shape, outputs = NETS[name]
    net = Net(*shape)
    model = net.model(make(net), outputs)
    template, here = open_template(model), processor_named("x86_64")
    compiled = compile_template(template, here)
    (tmp_path / "model.so").write_bytes(compiled.library)
    (tmp_path / "weights.safetensors").write_bytes(weights_file(compiled.plan, template.weights))
    core = Core(tmp_path / "model.so", tmp_path / "weights.safetensors", here.arch)
    session = open_session(model)
    for x in (net.x, 3 * net.x[..., ::-1]):
        core.inputs[0][...] = x
        core()
        (expected,) = session.run(None, {"x": np.ascontiguousarray(x)})
        np.testing.assert_allclose(core.outputs[0], expected, atol=2e-6 * max(1, np.abs(expected).max()))
    assert all(array.ctypes.data % 64 == 0 for array in (*core.inputs, *core.outputs))
