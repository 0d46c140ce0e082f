"""One row through TVM's compiled library and through ONNX Runtime with bound buffers: the same model, one thread, in one run.

Both answer from buffers that hold the inputs already, so that neither pays for Python's arrays. Calls alternate, so that a busy
moment of the machine hits both alike; the ratio is that of the medians. Before the clock starts the answers are compared. The
models are the numeric core of a child that `build` made of a real table, and three untrained networks exported from torch.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environment
import numpy as np
import processes

from modelgpt_edge.targets.target import machine
from modelgpt_edge.targets.tvm.arguments import SCRATCH, weights_file
from modelgpt_edge.targets.tvm.compiler import compile_now
from modelgpt_edge.targets.tvm.library import Core
from modelgpt_edge.targets.tvm.machine import processor_named
from modelgpt_edge.targets.tvm.template import open_template

TABLE = environment.ROOT / "examples" / "heart.csv"
TABULAR = "tabular core, examples/heart.csv"
WARM_UP, TOLERANCE = 50, 1e-4


@dataclass(frozen=True)
class Model:
    """An ONNX model of a batch of 1, and its inputs."""

    onnx: bytes
    inputs: tuple[np.ndarray, ...]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    models = {TABULAR: _tabular(), **_networks()}
    names = ["modelgpt-edge", "apache-tvm", "apache-tvm-ffi", "onnxruntime", "torch", "numpy"]
    result = {
        "bench": "tvm_latency",
        "command": environment.command(),
        "when": environment.now(),
        "machine": environment.machine(),
        "versions": environment.versions(names),
        "models": {name: measure(name, model, options.seconds) for name, model in models.items()},
    }
    if options.json:
        environment.write_json(options.json, result)
    sys.stdout.write(_markdown(result) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="about how long each model is timed (default 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements here")
    return parser


def _tabular() -> Model:
    """The core of a child of the example's table, and its first row, encoded."""
    import csv

    from modelgpt_edge.child_file import CHILD, read_child
    from modelgpt_edge.compile.graph import core_graph
    from modelgpt_edge.compile.precision import FP32

    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "table.edge"
        environment.say("building the package")
        processes.build(TABLE, package)
        child = read_child(package / CHILD)
    with TABLE.open(encoding="utf-8", newline="") as file:
        row = next(csv.DictReader(file))
    encoder = child.encoder
    numbers = {name: np.array([row[name] or "nan"], np.float32) for name in encoder.numbers}
    words = {name: np.array([row[name]], object) for name in encoder.words}
    encoded = encoder.encode(*encoder.pack(numbers, words, 1))
    return Model(core_graph(child, "0", FP32).SerializeToString(), (encoded,))


def _networks() -> dict[str, Model]:
    import tvm_models

    environment.say("exporting from torch")
    return {
        name: Model(tvm_models.export(model, inputs), tuple(x.numpy() for x in inputs))
        for name, (model, inputs) in tvm_models.examples().items()
    }


def measure(name: str, model: Model, seconds: float) -> dict[str, float]:
    """Microseconds of one row in both, and the ratio of TVM's to ONNX Runtime's."""
    environment.say(f"{name}: compiling")
    with tempfile.TemporaryDirectory() as folder:
        core, facts = _tvm(model, Path(folder))
        session_run, output = _onnxruntime(model)
        core()
        session_run()
        difference = float(np.abs(core.outputs[0] - output.numpy()).max())
        if not difference <= TOLERANCE:
            raise SystemExit(f"{name}: the answers differ by {difference:.1e}: their latency would mean nothing")
        environment.say(f"{name}: timing")
        times = alternate(core, session_run, seconds)
    medians = [float(np.median(t)) for t in times]
    return {
        "tvm_us": medians[0],
        "onnxruntime_us": medians[1],
        "ratio": medians[0] / medians[1],
        "tvm_least_us": float(times[0].min()),
        "onnxruntime_least_us": float(times[1].min()),
        "calls": len(times[0]),
        "difference": difference,
        **facts,
    }


def _tvm(model: Model, folder: Path) -> tuple[Core, dict[str, float]]:
    here = processor_named(machine())
    template = open_template(model.onnx)
    start = time.perf_counter()
    compiled = compile_now(template, here)
    seconds = time.perf_counter() - start
    library, weights = folder / "model.so", folder / "weights.safetensors"
    library.write_bytes(compiled.library)
    start = time.perf_counter()
    weights.write_bytes(weights_file(compiled.plan, template.weights))
    refit = time.perf_counter() - start
    core = Core(library, weights, here.arch)
    for place, value in zip(core.inputs, model.inputs):
        place[...] = value
    facts = {"compile_s": seconds, "refit_s": refit, "library_bytes": len(compiled.library)}
    return core, {**facts, "scratch_bytes": compiled.plan.memory(SCRATCH)}


def _onnxruntime(model: Model) -> tuple[Callable[[], None], Any]:
    """A call with all buffers bound, and the output's."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(model.onnx, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for described, value in zip(session.get_inputs(), model.inputs):
        binding.bind_ortvalue_input(described.name, ort.OrtValue.ortvalue_from_numpy(value))
    described = session.get_outputs()[0]
    shape = session.run(None, {i.name: x for i, x in zip(session.get_inputs(), model.inputs)})[0].shape
    output = ort.OrtValue.ortvalue_from_numpy(np.zeros(shape, np.float32))
    binding.bind_ortvalue_output(described.name, output)
    return lambda: session.run_with_iobinding(binding), output


def alternate(first: Callable[[], None], second: Callable[[], None], seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Microseconds of each call, the two in turn, for about a time."""
    for _ in range(WARM_UP):
        first()
        second()
    start = time.perf_counter()
    first()
    second()
    rounds = int(min(max(seconds / (time.perf_counter() - start), 100), 20_000))
    times = np.empty((2, rounds))
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds):
            for which, call in ((0, first), (1, second)):
                start = time.perf_counter_ns()
                call()
                times[which, turn] = (time.perf_counter_ns() - start) / 1e3
    finally:
        gc.enable()
    return times[0], times[1]


def _markdown(result: dict) -> str:
    header = [
        "One row",
        "TVM, us",
        "ONNX Runtime, us",
        "TVM / ONNX Runtime",
        "largest difference",
        "compile, s",
        "new weights, ms",
    ]
    rows = [
        [
            name,
            f"{f['tvm_us']:,.1f}",
            f"{f['onnxruntime_us']:,.1f}",
            f"{f['ratio']:.2f}",
            f"{f['difference']:.0e}",
            f"{f['compile_s']:.1f}",
            f"{1e3 * f['refit_s']:.1f}",
        ]
        for name, f in result["models"].items()
    ]
    about = f"{environment.described(result['machine'])}; one thread; {result['when']}; `{result['command']}`"
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return "\n\n".join([about, versions, environment.markdown_table(header, rows)])


if __name__ == "__main__":
    main()
