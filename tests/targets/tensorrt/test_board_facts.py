"""A board's facts, read from files as Jetsons have them, and through the fake CUDA library."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.targets.tensorrt import cuda as cuda_module
from modelgpt_edge.targets.tensorrt.board import Board, read_board, read_cuda, read_driver, read_jetpack, read_model
from modelgpt_edge.targets.tensorrt.cuda import dotted, open_cuda


def test_a_jetson_tells_every_fact(board):
    assert read_board(open_cuda()) == Board(
        model="NVIDIA Jetson Orin Nano Developer Kit",
        sm="sm_87",
        jetpack="L4T 36.4.3",
        cuda="12.6.68",
        driver="540.4.0",
        memory_bytes=8 << 30,
    )


def test_what_a_machine_does_not_tell_is_unknown_and_no_error(board, tmp_path):
    empty = tmp_path / "empty"
    assert (read_model(empty), read_jetpack(empty), read_cuda(empty), read_driver(empty)) == ("unknown", "unknown", "", "")
    bare = read_board(open_cuda(), empty)
    assert (bare.cuda, bare.driver) == ("12.6", "12.6"), "the driver's own word"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("# R38 (release), REVISION: 2.0, GCID: 1, BOARD: generic", "L4T 38.2.0"),
        ("# R36 (release), REVISION: 4.0, GCID: 1", "L4T 36.4.0"),
        ("# something else", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_release_line_of_jetson_linux(board, text, version):
    board.write("etc/nv_tegra_release", text)
    assert read_jetpack(board.root) == version


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cuda": 12}', '{"cuda": {}}'])
def test_a_damaged_version_file_is_no_version(board, text):
    board.write("usr/local/cuda/version.json", text)
    assert read_cuda(board.root) == ""


@pytest.mark.parametrize(("number", "text"), [(12060, "12.6"), (13000, "13.0"), (13020, "13.2"), (11080, "11.8")])
def test_cuda_writes_versions_as_numbers(number, text):
    assert dotted(number) == text


def test_memory_goes_to_the_device_and_back_and_is_given_back(board):
    cuda = open_cuda()
    values, seen = np.arange(12, dtype=np.float32), np.zeros(12, np.float32)
    memory = cuda.allocate(values.nbytes)
    cuda.upload(memory, values)
    cuda.download(seen, memory)
    cuda.synchronize()
    assert np.array_equal(seen, values)
    assert len(board.cuda.allocations) == 1
    del memory
    gc.collect()
    assert board.cuda.allocations == {}


def test_a_machine_without_a_driver_says_what_to_do(monkeypatch):
    monkeypatch.setattr(cuda_module, "DRIVER", "libcuda-of-no-machine.so.1")
    with pytest.raises(TargetUnavailableError, match="no CUDA driver here") as refused:
        open_cuda()
    assert "--runtime nvidia" in str(refused.value)


def test_a_driver_without_a_device_says_so(board):
    board.cuda.devices = 0
    with pytest.raises(TargetUnavailableError, match="sees no CUDA device"):
        open_cuda()


def test_a_failing_call_is_named_with_the_drivers_own_words(board):
    board.cuda.fail["cuInit"] = 100
    with pytest.raises(TargetUnavailableError, match=r"cuInit failed: fake error text of 100 \(error 100\)"):
        open_cuda()
    board.cuda.fail = {"cuMemAlloc_v2": 2}
    with pytest.raises(TargetUnavailableError, match=r"cuMemAlloc_v2 failed.*Close what else uses the GPU's memory"):
        open_cuda().allocate(1)
