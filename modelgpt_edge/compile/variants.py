"""Derive the compiled variants of each target, gate each, and choose precisions by measurement."""

from __future__ import annotations

import json
import platform
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from modelgpt_edge.child import Child, Floats, Ints
from modelgpt_edge.compile.golden import golden_codes
from modelgpt_edge.compile.graph import core_graph, packed_graph
from modelgpt_edge.compile.native.tables import native_tables
from modelgpt_edge.compile.precision import FP16, FP32, INT8, Precision
from modelgpt_edge.data.table import Rows
from modelgpt_edge.encoder_file import encoder_bytes
from modelgpt_edge.gate import Hop, compare
from modelgpt_edge.golden import Golden
from modelgpt_edge.targets.native_tabular import LIBRARY, TABLES, open_native
from modelgpt_edge.targets.onnxruntime import open_session
from modelgpt_edge.targets.target import BUILT_NOT_RUN, RUNS_HERE, Target

Run = Callable[[Floats, Ints], Floats]
ROWS = 2_000
CALLS = 200
# int8 is taken where it is quicker by a tenth and loses at most half a point; otherwise it isn't worth its rounding.
QUICKER, LOSS = 0.9, 0.005
WHY = {"native": "compiled by the C compiler here", "tensorrt": "with the recipe for the board's engine"}


@dataclass(frozen=True)
class Probe:
    """Rows that candidates are measured on: packed inputs, the reference's outputs and the labels."""

    numbers: Floats
    codes: Ints
    outputs: Floats
    labels: NDArray[Any]

    @staticmethod
    def of(child: Child, rows: Rows) -> Probe:
        """The first 2,000 rows."""
        rows = rows.take(slice(ROWS))
        numbers, codes = child.encoder.pack(rows.numbers, rows.words, len(rows))
        return Probe(numbers, codes, child.outputs(child.encoder.encode(numbers, codes)), rows.labels)


@dataclass(frozen=True)
class Candidate:
    """A compiled form and what it measured.

    Attributes:
        files: contents by file name.
        latency_us: median microseconds of one row here; None where it can't be told from here.
        training_accuracy: on the table's own rows, or R squared for regression; beside that of fp32 it tells the loss.
        agreement: share of those rows with the reference's label; None for regression.
        kept: whether it is in the package, and why, in `because`.
    """

    target: str
    backend: str
    precision: str
    front: str
    status: str
    files: Mapping[str, bytes]
    latency_us: float | None
    training_accuracy: float
    agreement: float | None
    hop: Hop
    kept: bool
    because: str

    @property
    def path(self) -> str:
        """Its folder in a package."""
        return f"variants/{self.target}-{self.backend}-{self.precision}"

    @property
    def bytes(self) -> int:
        """Size of its folder."""
        return sum(map(len, self.files.values()))

    def to_json(self) -> dict[str, Any]:
        """The measurements as JSON values."""
        names = (
            "target",
            "backend",
            "precision",
            "status",
            "bytes",
            "latency_us",
            "training_accuracy",
            "agreement",
            "kept",
            "because",
        )
        return {**{name: getattr(self, name) for name in names}, "relative_rms": self.hop.relative_rms}


def compile_target(
    target: Target, child: Child, probe: Probe, golden: Golden, library: bytes | None, version: str
) -> list[Candidate]:
    """Candidates of a target, best first.

    For TensorRT fp16 and int8, both kept where the gate passes them, and fp32 where it stops fp16. For ONNX Runtime fp32 and
    int8, the better kept; before them the native form where a target wants it and there is a C compiler.
    """
    if target.backends[0] == "tensorrt":
        wanted = [p for p in (FP16, INT8) if p.name in target.precisions]
        forms = [_tensorrt(target, child, p, probe, golden, version) for p in wanted]
        if not forms[0].hop.passed:
            forms.insert(0, _tensorrt(target, child, FP32, probe, golden, version))
        stopped = [replace(c, kept=False, because=f"left out by the gate: {c.hop.failure}") for c in forms]
        return [form if form.hop.passed or form.precision == "fp32" else out for form, out in zip(forms, stopped)]
    fp32 = _onnxruntime(target, child, FP32, probe, golden, version)
    if "int8" not in target.precisions:
        candidates = [fp32]
    else:
        candidates = _keep_better(fp32, _onnxruntime(target, child, INT8, probe, golden, version))
    if "native" in target.backends and library is not None and _is_here(target):
        candidates = [_native(target, child, library, probe, golden), *candidates]
    return candidates


def _onnxruntime(target: Target, child: Child, precision: Precision, probe: Probe, golden: Golden, version: str) -> Candidate:
    model = packed_graph(child, version, precision).SerializeToString()
    session = open_session(model)
    named = {"numbers", "codes"} & {i.name for i in session.get_inputs()}

    def run(numbers: Floats, codes: Ints) -> Floats:
        feed = {name: value for name, value in (("numbers", numbers), ("codes", codes)) if name in named}
        return np.asarray(session.run(None, feed)[0], np.float32)

    return _measure(
        target, "onnxruntime", precision.name, "packed", RUNS_HERE, {"model.onnx": model}, run, child, probe, golden
    )


def _native(target: Target, child: Child, library: bytes, probe: Probe, golden: Golden) -> Candidate:
    """The C template on the child's tables, loaded and run as the device will."""
    files = {LIBRARY: library, TABLES: bytes(save(native_tables(child)))}
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        run = open_native(Path(folder) / LIBRARY, Path(folder) / TABLES).run
    return _measure(target, "native", "fp32", "native", RUNS_HERE, files, run, child, probe, golden)


def _is_here(target: Target) -> bool:
    """Whether this machine is of the target's kind, so that what runs here runs there."""
    return target.arch == platform.machine().lower().replace("amd64", "x86_64")


def _tensorrt(target: Target, child: Child, precision: Precision, probe: Probe, golden: Golden, version: str) -> Candidate:
    """Explicit-precision ONNX and the recipe for building the engine, which only the board itself can."""
    model = core_graph(child, version, precision).SerializeToString()
    width = child.encoder.width
    shapes = {"min": [1, width], "opt": [1, width], "max": [256, width]}
    recipe = {
        "input": {"name": "encoded", "shape": shapes},
        "precision": precision.name,
        "strongly_typed": True,
        "workspace_bytes": 1 << 28,
        "sm": target.sm,
        "facts": dict(target.facts),
    }
    files = {
        "model.onnx": model,
        "encoder.safetensors": encoder_bytes(child.encoder),
        "recipe.json": (json.dumps(recipe, indent=2) + "\n").encode(),
    }
    session = open_session(model)

    def run(numbers: Floats, codes: Ints) -> Floats:
        return np.asarray(session.run(None, {"encoded": child.encoder.encode(numbers, codes)})[0], np.float32)

    return _measure(target, "tensorrt", precision.name, "encoded", BUILT_NOT_RUN, files, run, child, probe, golden)


def _measure(
    target: Target,
    backend: str,
    precision: str,
    front: str,
    status: str,
    files: dict[str, bytes],
    run: Run,
    child: Child,
    probe: Probe,
    golden: Golden,
) -> Candidate:
    got = run(golden.numbers, golden_codes(child.encoder, golden.words)).reshape(golden.outputs.shape)
    outputs = run(probe.numbers, probe.codes).reshape(probe.outputs.shape)
    here = status == RUNS_HERE
    return Candidate(
        target=target.name,
        backend=backend,
        precision=precision,
        front=front,
        status=status,
        files=files,
        latency_us=_latency(run, probe) if here else None,
        training_accuracy=_accuracy(outputs, probe.labels),
        agreement=float(np.mean(outputs.argmax(1) == probe.outputs.argmax(1))) if child.classes else None,
        hop=compare(f"{target.name} {backend} {precision}", golden.outputs, got, precision, golden.unit),
        kept=True,
        because=WHY.get(backend, ""),
    )


def _keep_better(fp32: Candidate, int8: Candidate) -> list[Candidate]:
    quicker = (int8.latency_us or np.inf) < QUICKER * (fp32.latency_us or 0)  # never for a board that isn't here
    # A fp32 form that fails its gate is kept, to fail the build: int8's wider tolerance must not hide it.
    accurate, holds = int8.training_accuracy >= fp32.training_accuracy - LOSS, int8.hop.passed and fp32.hop.passed
    if quicker and accurate and holds:
        why = "int8 is quicker and loses at most half a point"
        return [replace(int8, because="quicker than fp32"), replace(fp32, kept=False, because=why)]
    why = "loses too much accuracy" if not accurate else "is no quicker" if holds else "leaves its tolerance"
    return [replace(fp32, because=f"int8 isn't worth it here: it {why}"), replace(int8, kept=False, because=f"it {why}")]


def _latency(run: Run, probe: Probe) -> float:
    """Median microseconds of one row in a warm process, one thread."""
    rows = [(probe.numbers[i : i + 1], probe.codes[i : i + 1]) for i in range(min(50, len(probe.numbers)))]
    times = []
    for i in range(CALLS):
        start = time.perf_counter()
        run(*rows[i % len(rows)])
        times.append(time.perf_counter() - start)
    return float(np.median(times[CALLS // 10 :]) * 1e6)


def _accuracy(outputs: Floats, labels: NDArray[Any]) -> float:
    if outputs.shape[1] > 1:
        return float((outputs.argmax(1) == labels).mean())
    spread = float(((labels - labels.mean()) ** 2).sum()) or 1.0
    return 1 - float(((outputs[:, 0] - labels) ** 2).sum()) / spread
