"""A FAKE Jetson: the fake TensorRT module, the fake CUDA library and the files that a board tells its facts by."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

RELEASE = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025\n"
DRIVER = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  540.4.0  Release Build  (buildbrain@mobile-u64-6336-d8000)\n"
    "GCC version:  collect2: error: ld returned 1 exit status\n"
)
MODEL = "NVIDIA Jetson Orin Nano Developer Kit"


def _beside(name: str) -> ModuleType:
    """A module of this folder, imported once whatever the import mode of the tests is."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec
        assert spec.loader
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


FakeTensorRT = _beside("fake_tensorrt").FakeTensorRT
FakeLibcuda = _beside("fake_cuda").FakeLibcuda


class FakeBoard:
    """What makes this process take itself for a board.

    Attributes:
        trt, cuda: the fakes in use.
        root: folder of the files that the facts are read from.
    """

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path, version: str = "10.3.0") -> None:
        self._patch, self.root = patch, folder / "root"
        self.trt: Any = None
        self.use(version)
        self.cuda: Any = FakeLibcuda()
        patch.setattr("modelgpt_edge.targets.tensorrt.cuda.load_driver", lambda: self.cuda)
        patch.setattr("modelgpt_edge.targets.tensorrt.board.ROOT", self.root)
        patch.setattr("platform.machine", lambda: "aarch64")
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        self.write("etc/nv_tegra_release", RELEASE)
        self.write("proc/driver/nvidia/version", DRIVER)
        self.write("proc/device-tree/model", f"{MODEL}\0")
        self.write("usr/local/cuda/version.json", '{"cuda": {"name": "CUDA SDK", "version": "12.6.68"}}')

    def use(self, version: str) -> None:
        """Another TensorRT from now on."""
        self.trt = FakeTensorRT(version)
        self._patch.setitem(sys.modules, "tensorrt", self.trt)

    def write(self, name: str, text: str) -> None:
        """A file of the board."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
