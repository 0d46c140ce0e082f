"""The TVM backend: the numeric core in fp32, compiled for one row at a time; numpy encodes the rows before it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modelgpt_edge.child import Encoder, Floats, Ints
from modelgpt_edge.encoder_file import encoder_bytes, read_encoder
from modelgpt_edge.errors import PackageError, TargetUnavailableError
from modelgpt_edge.targets.backend import Artefact, Availability, Check, Executor, Files, Source, installed_version
from modelgpt_edge.targets.onnxruntime import ONE_OP_MODEL
from modelgpt_edge.targets.target import Target, machine
from modelgpt_edge.targets.timing import latency
from modelgpt_edge.targets.tvm.arguments import SCRATCH, read_file, read_weights, weights_file
from modelgpt_edge.targets.tvm.compiler import Compiled, compile_now, compile_template
from modelgpt_edge.targets.tvm.library import INSTALL, Core, import_ffi
from modelgpt_edge.targets.tvm.machine import Processor, missing_features, processor_named, processor_of

LIBRARY, WEIGHTS, ENCODER = "model.so", "weights.safetensors", "encoder.safetensors"


class TvmExecutor:
    """Encodes rows with numpy and runs the compiled core on each."""

    def __init__(self, encoder: Encoder, core: Core) -> None:
        self._encoder, self._core = encoder, core

    def run(self, numbers: Floats, codes: Ints) -> Floats:
        """See `targets.backend.Executor`."""
        return self._core.rows(self._encoder.encode(numbers, codes))


class Tvm:
    """Compiles a template once for a shape and a processor; another model of the shape brings weights alone."""

    name = "tvm"
    precisions = ("fp32",)
    fronts = ("packed",)
    by_default = False

    def probe(self) -> Availability:
        """Import tvm_ffi, which runs compiled models; then compile a one-op model and run it, which only a build needs."""
        try:
            import_ffi()
        except TargetUnavailableError as error:
            return Availability(False, "", error.what, INSTALL)
        version = installed_version("apache-tvm")
        try:
            value = _run_one_op()
        except (TargetUnavailableError, PackageError) as error:
            why = f"it runs compiled models here, but can't compile: {error.what}"
            return Availability(True, version, why, error.cure, (Check("compile", False, error.what),))
        if value != 3.0:
            return Availability(False, version, f"a compiled 1.5 + 1.5 gave {value}", INSTALL)
        done = "a one-op model was compiled and ran"
        return Availability(True, version, done, "", (Check("compile", True, done),))

    def compile(self, source: Source, target: Target, precision: str) -> Artefact:
        """See `targets.backend.Backend`; compiled templates are kept in the user's cache."""
        from modelgpt_edge.targets.tvm.template import open_template

        processor = processor_of(target)
        template = open_template(source.onnx("encoded", precision))
        compiled = compile_template(template, processor)
        return _artefact(compiled, template.weights, source, processor)

    def refit(self, files: Files, source: Source, target: Target, precision: str) -> Artefact:
        """The library as it is, and the weights and encoder of another model; a model of other shapes is compiled.

        Raises:
            TargetUnavailableError: it has other shapes, and they can't be compiled here.
            PackageError: a file is damaged.
        """
        from modelgpt_edge.targets.tvm.template import open_template

        plan = read_weights(files(WEIGHTS)).plan
        template = open_template(source.onnx("encoded", precision))
        if template.key != plan.template:
            return self.compile(source, target, precision)
        kept = Compiled(read_file(files(LIBRARY)), plan, from_cache=True)
        return _artefact(kept, template.weights, source, processor_of(target))

    def load(self, files: Files, target: Target) -> Executor:
        """See `targets.backend.Backend`; needs tvm_ffi, not TVM."""
        if not target.is_here:
            what = f"the library is for {target.arch}, and this machine is {machine()}"
            raise TargetUnavailableError(what, where="tvm backend", cure=f"Open it on this device: {target.title}.")
        processor = processor_of(target)
        if missing := missing_features(processor):
            what = f"this processor lacks {', '.join(missing)}, which {processor.cpu} has"
            raise TargetUnavailableError(what, where="tvm backend", cure="Open another variant of the package.")
        core = Core(files(LIBRARY), files(WEIGHTS), target.arch)
        return TvmExecutor(read_encoder(files(ENCODER)), core)

    def stand_in(self, files: Files, target: Target) -> Executor:
        """Nothing else runs a compiled library."""
        what = f"nothing but the device ({target.title}) or its emulator runs its library"
        raise TargetUnavailableError(what, where="tvm backend", cure="Open the package on the device.")

    def profile(self, files: Files, target: Target, numbers: Floats, codes: Ints) -> Mapping[str, Any]:
        """Quantiles of one row's time, encoding included."""
        return latency(self.load(files, target), numbers, codes)


def _artefact(compiled: Compiled, weights: Mapping[str, np.ndarray], source: Source, processor: Processor) -> Artefact:
    files = {
        LIBRARY: compiled.library,
        WEIGHTS: weights_file(compiled.plan, weights),
        ENCODER: encoder_bytes(source.child.encoder),
    }
    scratch = compiled.plan.memory(SCRATCH)
    return Artefact(files, "encoded", {"cpu": processor.cpu, "scratch_bytes": scratch, "from_cache": compiled.from_cache})


def _run_one_op() -> float:
    """1.5 + 1.5 by a library that is compiled now, for this machine."""
    from modelgpt_edge.targets.tvm.template import open_template

    here = processor_named(machine())
    template = open_template(ONE_OP_MODEL)
    compiled = compile_now(template, here)
    with tempfile.TemporaryDirectory() as folder:
        library, weights = Path(folder) / LIBRARY, Path(folder) / WEIGHTS
        library.write_bytes(compiled.library)
        weights.write_bytes(weights_file(compiled.plan, template.weights))
        core = Core(library, weights, here.arch)
        return float(core.rows(np.array([[1.5]], np.float32))[0, 0])
