from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from modelgpt_edge.targets import onnxruntime as backend_module
from modelgpt_edge.targets.backends import BACKENDS, EMULATORS
from modelgpt_edge.targets.builtin import BUILTIN
from modelgpt_edge.targets.onnxruntime import CPU, ONE_OP_MODEL, OnnxRuntime
from modelgpt_edge.targets.tensorrt.backend import TensorRt


def absent(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception | None = None) -> None:
    """Make importing `name` fail, as where it isn't installed or is broken."""
    problem = error or ModuleNotFoundError(f"No module named {name!r}", name=name)

    def fail(wanted: str) -> ModuleType:
        assert wanted == name
        raise problem

    monkeypatch.setattr("importlib.import_module", fail)


def test_every_backend_that_a_target_names_exists() -> None:
    assert {b for t in BUILTIN for b in t.backends} == set(BACKENDS)
    assert all(name == backend.name for name, backend in BACKENDS.items())
    assert {t.emulator for t in BUILTIN if t.emulator} == set(EMULATORS)
    assert all(name == emulator.name for name, emulator in EMULATORS.items())


def test_the_one_op_model_is_a_valid_onnx_file() -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(ONE_OP_MODEL)
    onnx.checker.check_model(model, full_check=True)
    assert [n.op_type for n in model.graph.node] == ["Add"]
    assert model.ByteSize() == len(ONE_OP_MODEL)


def test_onnxruntime_runs_a_model_for_real() -> None:
    ort = pytest.importorskip("onnxruntime")
    found = OnnxRuntime().probe()
    assert found.available
    assert found.version == ort.__version__
    assert [(c.name, c.passed) for c in found.checks if c.name == CPU] == [(CPU, True)]
    assert CPU in found.reason


def test_an_absent_onnxruntime_tells_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    absent(monkeypatch, "onnxruntime")
    found = OnnxRuntime().probe()
    assert not found.available
    assert found.version == ""
    assert found.how_to_get_it == "pip install 'onnxruntime>=1.17'"


def test_a_broken_onnxruntime_is_not_called_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    absent(monkeypatch, "onnxruntime", ImportError("libstdc++.so.6: version `GLIBCXX_3.4.32' not found"))
    found = OnnxRuntime().probe()
    assert not found.available
    assert found.version
    assert "GLIBCXX" in found.reason
    assert "--force-reinstall" in found.how_to_get_it


class FakeSession:
    """Stands in for a session of an ONNX Runtime that was built with CUDA."""

    def __init__(self, model: bytes, options: Any, providers: list[str], enable_fallback: int) -> None:
        assert enable_fallback == 0
        (self.provider,) = providers
        if self.provider == "CUDAExecutionProvider":
            raise RuntimeError("CUDA failure 35:\n  driver version is insufficient")

    def get_providers(self) -> list[str]:
        return [CPU] if self.provider == "TensorrtExecutionProvider" else [self.provider]

    def run(self, names: None, feed: dict[str, Any]) -> list[Any]:
        return [np.zeros(1, np.float32) if self.provider == "WrongExecutionProvider" else feed["x"] * 2]


def test_a_provider_that_is_listed_but_does_not_run_is_reported_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    library = pytest.importorskip("onnxruntime")
    listed = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "WrongExecutionProvider", "AzureExecutionProvider", CPU]
    monkeypatch.setattr(library, "get_available_providers", lambda: listed)
    monkeypatch.setattr(library, "InferenceSession", FakeSession)
    found = OnnxRuntime().probe()
    details = {c.name: (c.passed, c.detail) for c in found.checks}
    assert "AzureExecutionProvider" not in details
    assert details[CPU] == (True, "ran a one-op model")
    assert details["CUDAExecutionProvider"] == (False, "CUDA failure 35: driver version is insufficient")
    assert details["TensorrtExecutionProvider"] == (False, "listed, but its libraries don't load")
    assert details["WrongExecutionProvider"][0] is False
    assert found.available
    assert "CUDAExecutionProvider" in found.how_to_get_it


def test_an_onnxruntime_whose_cpu_fails_is_not_available(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(backend_module, "ONE_OP_MODEL", b"not a model")
    found = OnnxRuntime().probe()
    assert not found.available
    assert found.checks
    assert not found.checks[0].passed


def test_an_absent_tensorrt_says_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    absent(monkeypatch, "tensorrt")
    found = TensorRt().probe()
    assert not found.available
    assert "no Python module tensorrt" in found.reason
    assert "JetPack" in found.how_to_get_it
    assert "--system-site-packages" in found.how_to_get_it


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            ModuleNotFoundError("No module named 'tensorrt_bindings'", name="tensorrt_bindings"),
            "needs the Python module",
        ),
        (OSError("libnvinfer.so.10: cannot open shared object file"), "libnvinfer.so.10"),
        (RuntimeError(""), "RuntimeError"),
    ],
)
def test_a_broken_tensorrt_gives_the_loaders_reason(monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str) -> None:
    absent(monkeypatch, "tensorrt", error)
    found = TensorRt().probe()
    assert not found.available
    assert reason in found.reason
    assert found.version == "unknown"


def test_tensorrt_is_available_where_it_imports_and_never_claims_to_have_run(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = ModuleType("tensorrt")
    fake.__version__ = "10.3.0"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensorrt", fake)
    assert not TensorRt().probe().available, "an empty module of this name must not pass"
    fake.Builder = object  # type: ignore[attr-defined]
    found = TensorRt().probe()
    assert (found.available, found.version) == (True, "10.3.0")
    assert "no engine was built" in found.reason
