"""The TensorRT backend: its probe tells whether this machine can build engines, and where TensorRT comes from."""

from __future__ import annotations

import importlib

from modelgpt_edge.targets.backend import Availability, first_line, installed_version

HOW_TO_GET_IT = (
    "On a Jetson it comes with JetPack: sudo apt install nvidia-jetpack, and make a virtual environment with "
    "python3 -m venv --system-site-packages; elsewhere it isn't needed, as engines are built on the board"
)


class TensorRt:
    """Runs an engine that was built on the board it runs on."""

    name = "tensorrt"

    def probe(self) -> Availability:
        """Import the ``tensorrt`` module; no engine is built, as that takes seconds and a GPU."""
        try:
            library = importlib.import_module("tensorrt")
        except ModuleNotFoundError as error:
            if error.name == "tensorrt":
                return Availability(False, "", "no Python module tensorrt", HOW_TO_GET_IT)
            return _broken(f"it needs the Python module {error.name}")
        except Exception as error:  # missing CUDA libraries surface as OSError, RuntimeError and others
            return _broken(f"it doesn't import: {first_line(error)}")
        version = str(getattr(library, "__version__", ""))
        if not version or not hasattr(library, "Builder"):
            return _broken("the module of this name is not NVIDIA's")
        return Availability(True, version, "tensorrt imports; no engine was built to try it", "")


def _broken(why: str) -> Availability:
    return Availability(False, installed_version("tensorrt"), f"tensorrt is installed, but {why}", HOW_TO_GET_IT)
