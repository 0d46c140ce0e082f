"""Choose each kernel's tile by measurement on this machine: all candidates in one library, each timed on its own.

Imported only while a template is compiled, as it needs TVM.
"""

# ruff: noqa: TID251 - this is the folder that imports TVM, and only while a template is compiled
from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tvm
import tvm_ffi

from modelgpt_edge.targets.tvm.memory import aligned
from modelgpt_edge.targets.tvm.schedule import on_stack

# A kernel is called for about this long at a time, and the quickest of the turns counts: other work on the machine only slows.
SECONDS, TURNS = 1e-3, 7
Link = Callable[[Any, Path], None]


def quickest(candidates: list[list[Any]], target: Any, link: Link) -> list[Any]:
    """The quickest candidate of each kernel.

    Args:
        candidates: for each kernel its schedules; a single one is taken unmeasured.
        target: the TVM target, which this machine can run.
        link: makes a library of a compiled module at a path.
    """
    names = {(k, c): f"kernel{k}_{c}" for k, choices in enumerate(candidates) if len(choices) > 1 for c in range(len(choices))}
    if not names:
        return [choices[0] for choices in candidates]
    functions = {name: on_stack(candidates[k][c]).with_attr("global_symbol", name) for (k, c), name in names.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "candidates.so"
        with target:
            link(tvm.compile(tvm.IRModule(functions), target=target), path)
        library = tvm_ffi.load_module(str(path), keep_module_alive=False)
        times = {key: _seconds(library.get_function(name), candidates[key[0]][0]) for key, name in names.items()}
    return [
        min(enumerate(choices), key=lambda choice: times.get((k, choice[0]), 0.0))[1] for k, choices in enumerate(candidates)
    ]


def _seconds(function: Any, kernel: Any) -> float:
    """Time of one call on random numbers; indices are zeros, which lie in any table."""
    rng = np.random.default_rng(0)
    arrays = []
    for parameter in kernel.params:
        shape, dtype = tuple(int(size) for size in parameter.ty.shape), str(parameter.ty.dtype)
        is_float = dtype.startswith("float")
        arrays.append(aligned(rng.uniform(0.1, 1, shape).astype(dtype) if is_float else np.zeros(shape, dtype)))
    arguments = [tvm_ffi.from_dlpack(array) for array in arrays]

    def spend(calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            function(*arguments)
        return (time.perf_counter() - start) / calls

    calls = max(1, int(SECONDS / max(spend(3), 1e-7)))
    return min(spend(calls) for _ in range(TURNS))
