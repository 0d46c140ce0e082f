"""Run an emitted model on this machine: the same C, compiled by the machine's own compiler and called through ctypes."""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.targets.cortexm.emitted import HEADER, SOURCE, form_of
from modelgpt_edge.targets.cortexm.template import FOLDER
from modelgpt_edge.targets.native.toolchain import CURE, find_compiler, run_compiler

FLAGS = ("-std=gnu11", "-O2", "-fPIC", "-shared")


class HostModel:
    """An emitted model loaded into this process."""

    def __init__(self, library: ctypes.CDLL, form: str) -> None:
        self._codes = np.uint8 if form == "pixels" else np.int32
        shape = (ctypes.c_int32 * 3)()
        library.host_shape(shape)
        self.numbers, self.categories, self.outputs = shape
        self._run = library.host_run
        self._run.argtypes = (ctypes.c_int32, *[ctypes.c_void_p] * 3)
        self._run.restype = None

    def run(self, numbers: Floats, codes: Ints) -> Floats:
        """Outputs (N, K) of numbers (N, C), NaN missing, and word positions (N, S), -1 unknown.

        Of pictures there are no numbers, and codes are (N, H, W, channels) uint8.
        """
        rows = max(len(numbers), len(codes))
        numbers, codes = np.ascontiguousarray(numbers, np.float32), np.ascontiguousarray(codes, self._codes)
        if (numbers.size, codes.size) != (rows * self.numbers, rows * self.categories):
            what = f"inputs of shapes {numbers.shape} and {codes.shape}"
            raise ValueError(f"{what} for {self.numbers} numbers and {self.categories} categories")
        outputs = np.full((rows, self.outputs), np.nan, np.float32)
        self._run(rows, numbers.ctypes.data, codes.ctypes.data, outputs.ctypes.data)
        return outputs


def open_on_host(files: Mapping[str, bytes], flags: Sequence[str] = ()) -> HostModel:
    """Compile an emitted model here and load it.

    Args:
        files: ``model.c`` and ``model.h``, of a model for tables or of a network, whose inputs are its numbers or pictures.
        flags: more of them for the compiler.

    Raises:
        TargetUnavailableError: there is no C compiler here, or it failed; its message is passed on.
    """
    compiler = find_compiler()
    if compiler is None:
        raise TargetUnavailableError("there is no C compiler here", where="the C form", cure=CURE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in (SOURCE, HEADER):
            (folder / file).write_bytes(files[file])
        library = folder / "model.so"
        form = form_of(files[HEADER])
        harness = "host_tabular.c" if form == "table" else "host_network.c"
        defined = ("-DPIXELS",) if form == "pixels" else ()
        sources = [str(folder / SOURCE), str(FOLDER / harness)]
        run_compiler(compiler, [*FLAGS, *flags, *defined, "-I", name, "-o", str(library), *sources, "-lm"])
        return HostModel(ctypes.CDLL(str(library)), form)
