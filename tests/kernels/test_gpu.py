"""Which GPUs can run the kernels, how arrays come to one, and the script of all that a GPU is wanted for."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch  # noqa: TID251 - asks for the GPU

from modelgpt_edge.kernels.gpu import why_no_gpu
from modelgpt_edge.kernels.transfer import send


@pytest.mark.parametrize(
    ("found", "name", "reason"),
    [
        ([], "cuda", "torch.cuda sees no GPU"),
        ([(9, 0)], "cuda", ""),
        ([(9, 0), (8, 0)], "cuda:1", ""),
        ([(9, 0)], "cuda:1", "torch.cuda sees 1 of them"),
        ([(9, 0), (7, 5)], "cuda:1", "T4 has compute capability 7.5, and the kernels need 8.0"),
    ],
)
def test_why_a_gpu_can_not_be_used(found, name, reason, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(found))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(found))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: found[index or 0])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "T4")
    assert why_no_gpu(torch.device(name)) == reason


def test_another_process_asks_alike():
    command = [sys.executable, "-m", "modelgpt_edge.kernels.gpu", "cuda"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == why_no_gpu() + "\n"


def test_on_the_cpu_an_array_is_shared():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    sent = send(array, torch.device("cpu"))
    array[1, 2] = 9
    assert sent[1, 2] == 9


def test_the_script_ends_in_ten_minutes_and_names_what_is_there():
    root = Path(__file__).parents[2]
    script = (root / "bench" / "gpu.sh").read_text(encoding="utf-8")
    steps = re.findall(r"^step (\w+) (\d+|\$\(\(minutes \* 60 \+ 30\)\)) ", script, re.M)
    assert len(steps) == script.count("\nstep ")
    limits = {name: int(limit) if limit.isdigit() else 2 * 60 + 30 for name, limit in steps}
    assert sum(limits.values()) + 4 * len(limits) <= 600
    (compiling,) = map(int, re.findall(r"timeout --kill-after=4 (\d+) .*kernels.ahead", script))
    assert compiling <= limits["tune"] + limits["tests"], "what compiles meanwhile would be waited for"
    named = re.findall(r"tests/[\w/.]*\w", script)
    assert "tests/kernels" in named
    assert [path for path in named if not (root / path).exists()] == []


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(0, 3), (7,), (1000, 1000)])
def test_a_gpu_gets_what_the_array_held_when_it_was_sent(shape):
    array = np.random.default_rng(0).normal(size=shape)
    wanted = array.copy()
    sent = send(array, torch.device("cuda"))
    array += 1
    assert sent.is_cuda
    assert np.array_equal(sent.cpu().numpy(), wanted)
