"""The commands of docs/server.md, run as they stand there but for the port."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from safetensors.numpy import load_file

import modelgpt_edge

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "server.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the commands are curl's, which isn't here")
def test_documented_commands_run(server, tmp_path):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    assert len(BLOCKS) == 4
    told = ""
    for block in BLOCKS:
        commands = block.replace("http://127.0.0.1:8321", server.url)
        assert server.url in commands
        ran = subprocess.run(["bash", "-ec", commands], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert ran.returncode == 0, ran.stderr
        told += ran.stdout
    assert "event: progress" in told
    assert "event: package" in told
    (tmp_path / "heart.edge").mkdir()
    for tar, folder in (("heart.tar", "heart.edge"), ("weights.tar", ".")):
        subprocess.run(["tar", "-xf", tar, "-C", folder], cwd=tmp_path, check=True)
    for name in ("child", "named", "support", "anna", "ben"):
        assert "head_weight" in load_file(tmp_path / f"{name}.safetensors")
    assert len(modelgpt_edge.load(tmp_path / "heart.edge", "model").predict(tmp_path / "examples" / "patients.csv"))
