"""The TensorRT-RTX backend without TensorRT-RTX: what it says where parts are missing, and loading on a FAKE GPU.

The real library builds engines in `tests/device/test_tensorrt_rtx.py`.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from modelgpt_edge.errors import PackageError, TargetUnavailableError
from modelgpt_edge.golden import Golden
from modelgpt_edge.manifest import GOLDEN
from modelgpt_edge.runtime.finalize import finalize_package
from modelgpt_edge.targets.registry import find_target
from modelgpt_edge.targets.tensorrt_rtx import building
from modelgpt_edge.targets.tensorrt_rtx.backend import CAPABILITIES, ENGINE, TensorRtRtx
from modelgpt_edge.targets.tensorrt_rtx.building import PACKAGE, PYTHON, find_python
from modelgpt_edge.targets.tensorrt_rtx.proxy import proxy_check

RTX = find_target("rtx")
FAKES = Path(__file__).parents[1] / "tensorrt" / "fake_board.py"


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without TensorRT-RTX."""
    monkeypatch.delenv(PYTHON, raising=False)
    monkeypatch.setattr(building, "find_spec", lambda name: None)


@pytest.fixture(scope="module")
def jetson(tmp_path_factory: pytest.TempPathFactory, patients: list[Any]) -> Path:
    """A package whose TensorRT variant lends its files."""
    import modelgpt_edge

    out = tmp_path_factory.mktemp("jetson") / "patients.edge"
    return modelgpt_edge.build("predict the outcome", patients, out=out, draws=1, target="jetson").path


@pytest.fixture
def pc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, jetson: Path) -> Any:
    """A fake PC with an RTX GPU: the fakes of a Jetson, and an engine that the fake TensorRT built as the variant's own."""
    if "fake_board" not in sys.modules:
        spec = importlib.util.spec_from_file_location("fake_board", FAKES)
        assert spec
        assert spec.loader
        sys.modules["fake_board"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["fake_board"])
    board = sys.modules["fake_board"].FakeBoard(monkeypatch, tmp_path, "10.3.0")
    package = Path(shutil.copytree(jetson, tmp_path / "copy.edge"))
    name = "jetson-orin-nano-tensorrt-fp16"
    finalize_package(package, name)
    folder = tmp_path / "rtx"
    shutil.copytree(package / "variants" / name, folder)
    (folder / ENGINE).write_bytes((package / "engines" / name / "engine.plan").read_bytes())
    recipe = {"compute_capabilities": list(CAPABILITIES["fp16"]), "tensorrt_rtx": "10.3.0"}
    (folder / "recipe.json").write_text(json.dumps(recipe), encoding="utf-8")
    board.cuda.sm = (8, 9)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", board.trt)
    golden = Golden.read(package / GOLDEN)
    return SimpleNamespace(board=board, folder=folder, golden=golden, files=lambda name: folder / name)


def test_a_machine_without_it_tells_the_pip_line(nowhere):
    found = TensorRtRtx().probe()
    assert not found.available
    assert found.version == ""
    assert f"pip install {PACKAGE}" in found.how_to_get_it
    assert f"export {PYTHON}=" in found.how_to_get_it
    for work in (lambda: TensorRtRtx().compile(_source(), RTX, "fp16"), lambda: proxy_check(b"")):
        with pytest.raises(TargetUnavailableError, match="TensorRT-RTX isn't installed") as refused:
            work()
        assert refused.value.exit_code == 4
        assert f"pip install {PACKAGE}" in str(refused.value)


def _source() -> Any:
    child = SimpleNamespace(encoder=SimpleNamespace(width=3))
    return SimpleNamespace(front="packed", child=child, typed=lambda precision: b"")


def test_the_named_python_is_taken_before_this_one(monkeypatch):
    monkeypatch.setenv(PYTHON, "/somewhere/bin/python")
    assert find_python() == "/somewhere/bin/python"
    monkeypatch.delenv(PYTHON)
    monkeypatch.setattr(building, "find_spec", lambda name: name == "tensorrt_rtx")
    assert find_python() == sys.executable


def test_a_python_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv(PYTHON, str(tmp_path / "python"))
    found = TensorRtRtx().probe()
    assert not found.available
    with pytest.raises(TargetUnavailableError, match=f"{PYTHON}: this Python can't be run") as refused:
        proxy_check(b"")
    assert str(tmp_path / "python") in str(refused.value)


def _python(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """An interpreter that does nothing but this."""
    python = folder / "python"
    python.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setenv(PYTHON, str(python))


def test_a_python_without_the_library_passes_on_its_last_word(monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\necho Traceback >&2\necho \"ModuleNotFoundError: No module named 'tensorrt_rtx'\" >&2\nexit 1\n"
    )
    python.chmod(0o755)
    monkeypatch.setenv(PYTHON, str(python))
    with pytest.raises(TargetUnavailableError, match="No module named 'tensorrt_rtx'"):
        proxy_check(b"")


def test_a_library_that_crashes_is_an_error_here_and_no_more(monkeypatch, tmp_path):
    _python(monkeypatch, tmp_path, "kill -SEGV $$")
    with pytest.raises(TargetUnavailableError, match="exit status -11"):
        proxy_check(b"")


def test_an_engine_runs_on_a_gpu_that_it_was_built_for(pc):
    golden = pc.golden
    executor = TensorRtRtx().load(pc.files, RTX)
    codes = np.array([[("Oslo", "Paris", "Rome").index(w) if w in ("Oslo", "Paris", "Rome") else -1] for (w,) in golden.words])
    got = executor.run(golden.numbers, codes.astype(np.int32))
    expected = TensorRtRtx().stand_in(pc.files, RTX).run(golden.numbers, codes.astype(np.int32))
    assert np.array_equal(got, expected)
    assert "p50_us" in TensorRtRtx().profile(pc.files, RTX, golden.numbers, codes.astype(np.int32))


def test_a_gpu_that_it_was_not_built_for_is_named(pc):
    pc.board.cuda.sm = (9, 0)
    with pytest.raises(TargetUnavailableError, match=r"was built for sm_75, .*sm_121, and this GPU is sm_90"):
        TensorRtRtx().load(pc.files, RTX)


def test_another_version_than_the_builders_is_named_with_the_pip_line(pc, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", SimpleNamespace(__version__="1.8.0"))
    with pytest.raises(TargetUnavailableError, match=r"built by TensorRT-RTX 10\.3\.0, and 1\.8\.0 is here") as refused:
        TensorRtRtx().load(pc.files, RTX)
    assert "pip install tensorrt-rtx-cu13==10.3.0" in str(refused.value)


def test_a_gpu_without_the_library_tells_the_pip_line(pc, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    with pytest.raises(TargetUnavailableError, match=r"can't be imported.*pip install tensorrt-rtx-cu13=="):
        TensorRtRtx().load(pc.files, RTX)


def test_a_pc_without_a_driver_says_so(pc, monkeypatch):
    pc.board.cuda.devices = 0
    with pytest.raises(TargetUnavailableError, match="sees no CUDA device"):
        TensorRtRtx().load(pc.files, RTX)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"compute_capabilities": 3}'])
def test_a_damaged_recipe_is_one_clear_error(pc, text):
    (pc.folder / "recipe.json").write_text(text, encoding="utf-8")
    with pytest.raises(PackageError, match="recipe can't be read"):
        TensorRtRtx().load(pc.files, RTX)
