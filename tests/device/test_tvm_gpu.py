"""TVM's build for a Jetson's GPU as far as no GPU allows: machine code for sm_87 beside ARM host code, and its resources."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.targets.native.library import built_for
from modelgpt_edge.targets.tvm.cuda import build_for_gpu
from modelgpt_edge.targets.tvm.template import Template, open_template

pytestmark = pytest.mark.device


@pytest.fixture(scope="module")
def template() -> Template:
    rng = np.random.default_rng(0)
    sizes = {"w": (30, 64), "b": (64,), "v": (64, 3), "c": (3,)}
    weights = [numpy_helper.from_array(rng.normal(size=s).astype(np.float32), n) for n, s in sizes.items()]
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"]),
        helper.make_node("Tanh", ["h"], ["t"]),
        helper.make_node("Gemm", ["t", "v", "c"], ["s"]),
        helper.make_node("Softmax", ["s"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", size]) for n, size in (("x", 30), ("y", 3)))
    model = helper.make_model(helper.make_graph(nodes, "net", [x], [y], weights), ir_version=8)
    model.opset_import[0].version = 17
    onnx.checker.check_model(model)
    return open_template(model.SerializeToString())


def test_the_library_holds_machine_code_for_the_gpu_and_nothing_spills(template):
    build = build_for_gpu(template, "sm_87")
    assert built_for(build.library) == "aarch64"
    assert build.library.count(b"sm_87") > 0
    assert b"__global__" not in build.library, "CUDA source instead of machine code"
    assert len(build.resources) >= 3
    assert {r.sm for r in build.resources} == {"sm_87"}
    for kernel in build.resources:
        assert 0 < kernel.registers <= 255
        assert kernel.spilled_bytes == 0, kernel
        assert kernel.shared_bytes <= 48 << 10
    assert {a.name for a in build.plan.arguments if a.role == "weight"} == {"w", "b", "v", "c"}


def test_a_failing_nvcc_is_shown(template, tmp_path, monkeypatch):
    program = tmp_path / "nvcc"
    program.write_text("#!/bin/sh\necho 'nvcc fatal: no such GPU' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(TargetUnavailableError, match="no such GPU"):
        build_for_gpu(template, "sm_87")


def test_without_nvcc_the_pip_line_is_told(template, monkeypatch):
    find = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, *rest, **more: None if name == "nvcc" else find(name, *rest, **more))
    monkeypatch.setattr("modelgpt_edge.targets.tvm.cuda.WHEEL_FOLDER", Path("absent"))
    with pytest.raises(TargetUnavailableError, match=r"pip install 'nvidia-cuda-nvcc==13\.0\.\*'"):
        build_for_gpu(template, "sm_87")
