"""`serve --device`: a whole server on a device, who has torch in memory, and what a machine without one is told."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import torch  # noqa: TID251 - asks for the GPU

from modelgpt_edge.server.settings import TORCH_CPU, Settings

TASK = "predict the outcome"
PROFILE = {"Content-Type": "application/x-safetensors"}


def test_three_launches_are_under_way_on_a_device():
    assert Settings(workers=5).lanes == 5
    assert Settings(workers=5, device=TORCH_CPU).lanes == 3
    assert Settings(workers=5, device=TORCH_CPU, batch=1).lanes == 1


def test_a_server_on_a_device(serve, csv, profile):
    with serve("--device", "torch-cpu", "--workers", "1", "--batch", "8") as serving:
        held = {"units": "640"}

        async def crowd() -> list[httpx.Response]:
            async with httpx.AsyncClient(base_url=serving.url, timeout=60, headers=PROFILE) as client:
                asked = (client.post("/v1/parameters", params={**held, "seed": n}, content=profile(n)) for n in range(5))
                return await asyncio.gather(*asked)

        answers = asyncio.run(crowd())
        assert {a.status_code for a in answers} == {200}, [a.text for a in answers]
        assert max(int(a.headers["modelgpt-batch"]) for a in answers) > 1
        with serving.client(headers=PROFILE) as client:
            for n, answer in enumerate(answers):
                alone = client.post("/v1/parameters", params={**held, "seed": n}, content=profile(n))
                assert alone.content == answer.content
            rows = client.post("/v1/parameters", params={"task": TASK}, content=csv, headers={"Content-Type": "text/csv"})
            assert rows.status_code == 200, rows.text
            assert client.get("/healthz").json()["status"] == "ok"
        # Only the device's own process has torch.
        maps = {pid: "libtorch" in Path(f"/proc/{pid}/maps").read_text() for pid in (serving.process.pid, *serving.workers())}
        assert not maps.pop(serving.process.pid)
        assert sorted(maps.values()) == [False, True]


def test_torch_is_imported_for_a_device_alone():
    parts = ("serving", "emission", "text_emission")
    code = f"import sys, {', '.join(f'modelgpt_edge.server.{part}' for part in parts)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_without_a_gpu_it_says_so(name, cli):
    ran = cli("serve", "--port", "0", "--device", name)
    assert ran.code == 4
    assert "error: --device: no model can be emitted there, as torch.cuda sees no GPU" in ran.err
    assert "leave --device out" in ran.err


@pytest.mark.parametrize(("package", "name"), [("torch", "torch-cpu"), ("torch", "cuda"), ("triton", "cuda")])
def test_without_torch_the_cure_is_told(package, name, cli, monkeypatch):
    monkeypatch.setattr("modelgpt_edge.server.device.find_spec", lambda module: None if module == package else object())
    ran = cli("serve", "--port", "0", "--device", name)
    assert ran.code == 4
    assert f"{package} is not installed, and {name} needs it. Run: pip install 'modelgpt-edge[kernels]'." in ran.err


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "CUDA", ""])
def test_a_device_that_is_none(name, cli):
    ran = cli("serve", "--port", "0", "--device", name)
    assert ran.code == 1
    assert "error: --device: there is no such device" in ran.err
