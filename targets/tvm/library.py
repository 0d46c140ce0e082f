"""Open a compiled template with its weights and call it, through tvm_ffi alone: a device needs no compiler and no TVM."""

from __future__ import annotations

import importlib
import threading
from pathlib import Path
from typing import Any

import numpy as np

from modelgpt_edge.errors import PackageError, TargetUnavailableError
from modelgpt_edge.targets.backend import first_line
from modelgpt_edge.targets.native.library import fault
from modelgpt_edge.targets.tvm.arguments import INPUT, OUTPUT, read_file, read_weights
from modelgpt_edge.targets.tvm.memory import aligned

INSTALL = "Run: pip install 'apache-tvm-ffi==0.1.14.post1'"
FUNCTION = "core"


class Core:
    """A compiled template with a model's weights. It holds its buffers: `rows` lets one thread in at a time.

    Args:
        library, weights: the files.
        arch: the instruction set that it must be for.

    Raises:
        TargetUnavailableError: apache-tvm-ffi isn't installed.
        PackageError: a file is damaged, or the library is for another processor.
    """

    def __init__(self, library: Path, weights: Path, arch: str) -> None:
        if wrong := fault(read_file(library), arch):
            cure = "Build for this device, or open the package on its own."
            raise PackageError(f"the compiled model can't be loaded: {wrong}", where=library.name, cure=cure)
        read = read_weights(weights)
        ffi = import_ffi()
        try:
            # Left open for good: a library that goes while a thread still uses it takes the process along.
            self._call: Any = ffi.load_module(str(library.resolve())).get_function(FUNCTION)
        except Exception as error:  # the loader raises several types
            what = f"the compiled model can't be loaded: {first_line(error)}"
            raise PackageError(what, where=library.name, cure="Build anew.") from error
        if self._call is None:
            raise PackageError(f"it has no function {FUNCTION}", where=library.name, cure="Build anew.")
        arrays = [aligned(a) for a in read.arrays]
        roles = [a.role for a in read.plan.arguments]
        self.inputs = tuple(a for a, role in zip(arrays, roles) if role == INPUT)
        self.outputs = tuple(a for a, role in zip(arrays, roles) if role == OUTPUT)
        self._arguments = tuple(ffi.from_dlpack(a) for a in arrays)
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """Compute `outputs` from what stands in `inputs`."""
        self._call(*self._arguments)

    def rows(self, encoded: np.ndarray) -> np.ndarray:
        """Outputs (N, K) of rows (N, D), one by one."""
        (x,), (y,) = self.inputs, self.outputs
        row, outputs = x.reshape(-1), np.empty((len(encoded), y.size), y.dtype)
        with self._lock:
            for i, values in enumerate(encoded):
                row[:] = values
                self._call(*self._arguments)
                outputs[i] = y.reshape(-1)
        return outputs


def import_ffi() -> Any:
    """The tvm_ffi module.

    Raises:
        TargetUnavailableError: it isn't installed, or doesn't import.
    """
    try:
        return importlib.import_module("tvm_ffi")
    except ModuleNotFoundError as error:
        raise TargetUnavailableError("tvm_ffi is not installed here", where="tvm backend", cure=INSTALL) from error
    except Exception as error:  # a broken binary raises what its loader likes
        what = f"tvm_ffi is installed but doesn't import: {first_line(error)}"
        raise TargetUnavailableError(what, where="tvm backend", cure=INSTALL) from error
