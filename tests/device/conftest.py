"""TensorRT-RTX's own bindings, for tests that hand them what `finalize` hands to a Jetson's."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import pytest

from modelgpt_edge.targets.tensorrt_rtx.building import find_python


@pytest.fixture(scope="session")
def library() -> Any:
    """TensorRT-RTX in this process, from the environment that has it; its builder told to build for a GPU that isn't here."""
    if not find_spec("tensorrt_rtx"):
        where = [find_python(), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        sys.path.append(subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip())
    trt = importlib.import_module("tensorrt_rtx")

    class AheadOfTime(trt.Builder):
        def create_builder_config(self) -> Any:
            config = super().create_builder_config()
            config.num_compute_capabilities = 1
            config.set_compute_capability(trt.ComputeCapability.SM86, 0)
            return config

    module = ModuleType("tensorrt_rtx_ahead_of_time")
    vars(module).update({**vars(trt), "Builder": AheadOfTime})
    return module
