"""TVM's libraries outside of Python: the C++ runner on this machine and for 64-bit ARM, and what the libraries ask for."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from modelgpt_edge.child import Child, Encoder, Units
from modelgpt_edge.compile.source import ChildSource
from modelgpt_edge.targets.aarch64.emulator import run_program
from modelgpt_edge.targets.aarch64.root import root_folder, set_up
from modelgpt_edge.targets.native.library import built_for
from modelgpt_edge.targets.registry import find_target
from modelgpt_edge.targets.tvm.backend import Tvm
from modelgpt_edge.targets.tvm.runner import build_runner

pytestmark = pytest.mark.device
WIDTH, CLASSES = 11, 3


@pytest.fixture(scope="module")
def child() -> Child:
    """A child of random weights; its encoded columns are given as they are."""
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return (rng.normal(size=shape) * 0.4).astype(np.float32)

    def columns(groups: int) -> np.ndarray:
        return rng.integers(0, WIDTH, (groups, 8)).astype(np.int32)

    names = tuple(f"c{i}" for i in range(WIDTH))
    none, index = np.zeros(0, np.float32), np.zeros(0, np.int32)
    table = np.zeros((0, 2), np.float32)
    ones = np.ones(WIDTH, np.float32)
    encoder = Encoder(names, (), (), index, none, none, 0 * ones, 0 * ones, ones, index, table, table, index)
    units = Units(
        *(normal(WIDTH, 32), normal(32)),
        *(columns(2), normal(2, 8, 16), normal(2, 16)),
        *(columns(1), normal(1, 8, 24), normal(1, 24), np.ones((1, 8), np.float32)),
    )
    return Child(encoder, units, normal(WIDTH + units.count, CLASSES), normal(CLASSES), ("a", "b", "c"))


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(25, WIDTH)).astype(np.float32)


def compiled(child, target, folder):
    for name, content in Tvm().compile(ChildSource(child, "0", {}), find_target(target), "fp32").files.items():
        (folder / name).write_bytes(content)
    return [str(folder / "model.so"), str(folder / "weights.safetensors")]


def text_of(rows) -> str:
    return "\n".join(",".join(f"{v:.9g}" for v in row) for row in rows) + "\n"


def check(ran, child, rows):
    assert ran.returncode == 0, ran.stderr
    got = np.array([[float(v) for v in line.split()] for line in ran.stdout.splitlines()])
    np.testing.assert_allclose(got, child.outputs(rows), atol=2e-6)


def test_the_runner_computes_what_numpy_does_and_tells_the_time(child, rows, tmp_path):
    files = compiled(child, "x86", tmp_path)
    runner = str(build_runner(tmp_path / "runner"))
    ran = subprocess.run([runner, *files, "100"], input=text_of(rows), capture_output=True, text=True)
    check(ran, child, rows)
    assert ran.stderr.startswith("median ")


@pytest.mark.parametrize("fault", ["short row", "no number", "cut weights", "no library"])
def test_the_runner_refuses_what_it_cannot_read(child, rows, tmp_path, fault):
    library, weights = compiled(child, "x86", tmp_path)
    given = {"short row": text_of(rows[:, :-1])[:-1], "no number": "1,two,3\n"}.get(fault, text_of(rows))
    if fault == "cut weights":
        (tmp_path / "weights.safetensors").write_bytes((tmp_path / "weights.safetensors").read_bytes()[:-2000])
    if fault == "no library":
        library = str(tmp_path / "absent.so")
    runner = str(build_runner(tmp_path / "runner"))
    ran = subprocess.run([runner, library, weights], input=given, capture_output=True, text=True)
    assert ran.returncode == 1
    assert ran.stderr.startswith("runner: ")


@pytest.mark.parametrize("board", ["raspberry-pi-4", "raspberry-pi-5"])
def test_the_cross_compiled_runner_computes_the_same_on_a_board(child, rows, tmp_path, board):
    set_up()
    target = find_target(board)
    files = compiled(child, board, tmp_path)
    runner = build_runner(tmp_path / "runner", "aarch64-linux-gnu-g++", root_folder() / "site" / "tvm_ffi")
    assert built_for(runner.read_bytes()) == "aarch64"
    check(run_program(target.facts["cpu"], [str(runner), *files], given=text_of(rows)), child, rows)


@pytest.mark.parametrize(("target", "tool"), [("x86", "nm"), ("raspberry-pi-5", "aarch64-linux-gnu-nm")])
def test_a_library_asks_for_nothing_but_tvm_ffi_and_the_c_library(child, tmp_path, target, tool):
    library, _ = compiled(child, target, tmp_path)
    assert built_for((tmp_path / "model.so").read_bytes()) == find_target(target).arch
    lines = subprocess.run([tool, "-D", library], capture_output=True, text=True, check=True).stdout.splitlines()
    wanted = {line.split()[-1].split("@")[0] for line in lines if " U " in line}
    assert {name for name in wanted if name.startswith("TVM")} == {"TVMFFIErrorSetRaisedFromCStrParts"}
    assert not any("TVMBackend" in line for line in lines), "it would need TVM's runtime"
    assert wanted - {"TVMFFIErrorSetRaisedFromCStrParts"} <= {"memcpy", "memset", "floorf", "expf", "tanhf", "__cxa_finalize"}
