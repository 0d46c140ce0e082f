"""What a refit costs beside compiling anew: new weights in a compiled form of each backend, and the same form from nothing.

Compiling starts with an empty cache, as for the first model of its shapes on a machine. Both end with the form's files in
memory; generating the weights and checking them are not in either.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import environment
import numpy as np
import synthetic

from modelgpt_edge.compile.source import ChildSource
from modelgpt_edge.parameters.generate import generate
from modelgpt_edge.request import Request
from modelgpt_edge.table_pipeline import understand
from modelgpt_edge.targets.backends import BACKENDS
from modelgpt_edge.targets.native import toolchain
from modelgpt_edge.targets.registry import find_target

FORMS = (
    ("x86", "native", "fp32"),
    ("x86", "tvm", "fp32"),
    ("x86", "onnxruntime", "fp32"),
    ("raspberry-pi-5", "tvm", "fp32"),
    ("cortex-m4", "c", "int8"),
    ("cortex-m4", "c", "fp32"),
)
ROWS, COLUMNS = 1000, 30


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    x, y = synthetic.three_classes(ROWS, COLUMNS)
    sources = [_source(x[::2], y[::2]), _source(x[1::2], y[1::2])]
    rows = [measure(*form, sources, options.runs) for form in FORMS]
    result = {
        "bench": "refit",
        "command": environment.command(),
        "when": environment.now(),
        "machine": environment.machine(),
        "versions": environment.versions(["modelgpt-edge", "numpy", "onnx", "apache-tvm"]),
        "rows": rows,
    }
    if options.json:
        environment.write_json(options.json, result)
    lines = [[r["form"], f"{r['compile_s'] * 1e3:,.0f}", f"{r['refit_s'] * 1e3:,.1f}", f"{r['ratio']:,.0f}"] for r in rows]
    sys.stdout.write(environment.markdown_table(["form", "compile anew, ms", "refit, ms", "times faster"], lines) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="compilations, and ten times as many refits (default 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements here")
    return parser


def _source(x: np.ndarray, y: np.ndarray) -> ChildSource:
    columns = {**synthetic.columns_of(x), "label": y.tolist()}
    request = Request("classify the rows", columns, "label", "classification", None, ("x86",))
    child = generate(understand(request).table, (640,), 1, 0, generator="floor").child
    return ChildSource(child, "bench", {"dense": 5.0, "head": 1.0})


def measure(target_name: str, backend_name: str, precision: str, sources: list[ChildSource], runs: int) -> dict:
    """Medians of compiling the first source with an empty cache, and of putting the second one's weights into that."""
    backend, target = BACKENDS[backend_name], find_target(target_name)
    compiling, refitting = [], []
    with tempfile.TemporaryDirectory() as folder:
        for run in range(runs):
            os.environ["XDG_CACHE_HOME"] = str(Path(folder) / f"cache-{run}")
            toolchain._library.cache_clear()  # what this process keeps of an earlier run
            start = time.perf_counter()
            artefact = backend.compile(_fresh(sources[0]), target, precision)
            compiling.append(time.perf_counter() - start)
        for name, content in artefact.files.items():
            (Path(folder) / name).write_bytes(content)
        for _ in range(10 * runs):
            start = time.perf_counter()
            refitted = backend.refit(Path(folder).joinpath, _fresh(sources[1]), target, precision)
            refitting.append(time.perf_counter() - start)
    assert set(refitted.files) == set(artefact.files), "a refit gives the same files"
    assert refitted.files != artefact.files, "a refit gives other weights"
    compile_s, refit_s = float(np.median(compiling)), float(np.median(refitting))
    form = f"{target_name} {backend_name} {precision}"
    environment.say(f"{form}: {compile_s:.2f} s, {refit_s * 1e3:.1f} ms")
    return {"form": form, "compile_s": compile_s, "refit_s": refit_s, "ratio": compile_s / refit_s}


def _fresh(source: ChildSource) -> ChildSource:
    """The same child without the graphs that were made of it before."""
    return ChildSource(source.child, source.version, source.ranges)


if __name__ == "__main__":
    main()
