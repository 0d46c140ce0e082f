"""``modelgpt-edge finalize`` on a fake board: what people and machines read, and the exit codes."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

FAKES = Path(__file__).parents[1] / "targets" / "tensorrt" / "fake_board.py"
FP16 = "jetson-orin-nano-tensorrt-fp16"


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A fake Jetson Orin Nano: see the module it comes from."""
    if "fake_board" not in sys.modules:
        spec = importlib.util.spec_from_file_location("fake_board", FAKES)
        assert spec
        assert spec.loader
        sys.modules["fake_board"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["fake_board"])
    return sys.modules["fake_board"].FakeBoard(monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def jetson(tmp_path_factory: pytest.TempPathFactory, patients: list[Any]) -> Path:
    """A package for the Orin Nano alone, with hidden units, which int8 is for."""
    import modelgpt_edge

    out = tmp_path_factory.mktemp("jetson") / "patients.edge"
    return modelgpt_edge.build("predict the outcome", patients, out=out, draws=1, target="jetson", generator="floor").path


@pytest.fixture
def copy(jetson: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(jetson, tmp_path / "copy.edge"))


def test_people_read_the_board_and_a_line_an_engine(board, copy, cli):
    ran = cli("finalize", copy)
    assert ran.code == 0, ran.err
    first, *lines = ran.out.splitlines()
    assert first == "NVIDIA Jetson Orin Nano Developer Kit: sm_87, L4T 36.4.3, CUDA 12.6.68, TensorRT 10.3.0"
    ok = [line for line in lines if line.startswith("ok    jetson-orin-nano tensorrt ")]
    assert len(ok) == 2  # fp16 and int8
    assert all("engine: matches, max difference" in line for line in ok)
    assert "built in " in ran.out
    assert "us a row" in ran.out
    assert f"building {FP16} ..." in ran.err


def test_machines_read_one_object(board, copy, cli):
    ran = cli("finalize", copy, "--variant", FP16, "--workspace", "64", "--json")
    assert ran.code == 0, ran.err
    values = json.loads(ran.out)
    assert set(values) == {"package", "board", "engines"}
    (engine,) = values["engines"]
    assert engine["variant"] == FP16
    assert engine["how"] == "built"
    assert engine["record"]["workspace_bytes"] == 64 << 20
    assert engine["hop"]["passed"]
    again = json.loads(cli("finalize", copy, "--variant", FP16, "--json").out)
    assert again["engines"][0]["how"] == "kept"
    anew = json.loads(cli("finalize", copy, "--variant", FP16, "--force", "--json").out)
    assert anew["engines"][0]["how"] == "built"


def test_a_golden_mismatch_exits_3_and_names_the_hop(board, copy, cli):
    board.trt.breaks_engines = True
    ran = cli("finalize", copy, "--variant", FP16)
    assert ran.code == 3
    assert ran.out == ""
    assert "the numeric gate failed at hop 'jetson-orin-nano tensorrt fp16 engine'" in ran.err
    assert not (copy / "engines").exists()


def test_a_machine_without_tensorrt_exits_4_with_the_cure(copy, cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    ran = cli("finalize", copy)
    assert ran.code == 4
    assert "sudo apt install nvidia-jetpack" in ran.err
    assert ran.err.count("\n") == 1


def test_a_machine_without_a_gpu_exits_4_with_the_cure(board, copy, cli):
    board.cuda.devices = 0
    ran = cli("finalize", copy)
    assert ran.code == 4
    assert "Install the NVIDIA driver" in ran.err


@pytest.mark.parametrize("value", ["0", "-5", "much", "999999999"])
def test_a_bad_workspace_exits_1(board, copy, cli, value):
    ran = cli("finalize", copy, "--workspace", value)
    assert ran.code == 1
    assert "--workspace" in ran.err


def test_bad_packages_and_names_exit_1(board, copy, cli, tmp_path):
    assert cli("finalize", tmp_path / "none.edge").code == 1
    ran = cli("finalize", copy, "--variant", "jetson-orin-nano-tensorrt-fp61")
    assert ran.code == 1
    assert f"Did you mean '{FP16}'" in ran.err
