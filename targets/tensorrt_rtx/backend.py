"""The TensorRT-RTX backend: one engine ahead of time for every GPU from Turing to Blackwell, run where there is such a GPU."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.errors import PackageError, TargetUnavailableError
from modelgpt_edge.targets.backend import Artefact, Availability, Executor, Files, Source, first_line
from modelgpt_edge.targets.target import Target
from modelgpt_edge.targets.tensorrt.backend import MODEL, feeding, open_stand_in, typed_front
from modelgpt_edge.targets.tensorrt.cuda import open_cuda
from modelgpt_edge.targets.tensorrt.executor import EngineCore, executor_for
from modelgpt_edge.targets.tensorrt.feed import ELEMENTS, ENCODED, Feed
from modelgpt_edge.targets.tensorrt.recipe import RECIPE
from modelgpt_edge.targets.tensorrt_rtx.building import HOW_TO_GET_IT, build_ahead, find_version
from modelgpt_edge.targets.timing import latency

ENGINE = "engine.trtrtx"
TURING, LATER = "75", ("80", "86", "89", "120", "121")
# TensorRT-RTX has neither fp32 nor int8 matrix products for Turing, whatever their sizes.
CAPABILITIES = {"fp16": (TURING, *LATER), "int8": LATER, "fp32": LATER}


class TensorRtRtx:
    """Builds on any PC, runs on one with an RTX GPU."""

    name = "tensorrt-rtx"
    precisions = ("fp16", "int8", "fp32")
    fronts = ("packed", "tokens", "pixels")
    by_default = True

    def probe(self) -> Availability:
        """Import the library in its own interpreter; nothing is built."""
        try:
            version = find_version()
        except TargetUnavailableError as error:
            return Availability(False, "", error.what, HOW_TO_GET_IT)
        return Availability(True, version, "tensorrt_rtx imports, and builds engines without a GPU", "")

    def compile(self, source: Source, target: Target, precision: str) -> Artefact:
        """One engine for all architectures, as large as for one alone: the GPU's own code is made where it is opened."""
        onnx, feed, capabilities = source.typed(precision), Feed.of(source), CAPABILITIES[precision]
        built = build_ahead(onnx, capabilities, precision != "fp32", feed)
        version = str(built.answer["tensorrt_rtx"])
        if built.engine is None:
            raise TargetUnavailableError(
                f"the {precision} engine can't be built: {built.trouble}",
                where=f"TensorRT-RTX {version}",
                cure="Please report this message.",
            )
        recipe = {
            "precision": precision,
            "engine": ENGINE,
            "compute_capabilities": list(capabilities),
            "tensorrt_rtx": version,
            "input": feed.name,
            "rows": feed.most[0],
        }
        files = {
            MODEL: onnx,
            **feeding(source),
            ENGINE: built.engine,
            RECIPE: (json.dumps(recipe, indent=2) + "\n").encode(),
        }
        facts = {
            "engine_bytes": len(built.engine),
            "engine_for": [f"sm_{c}" for c in capabilities],
            "engine_layers": len(built.answer["layers"]),
            "engine_seconds": built.answer["seconds"],
            "tensorrt_rtx": version,
        }
        return Artefact(files, typed_front(source), facts)

    def refit(self, files: Files, source: Source, target: Target, precision: str) -> Artefact:
        """Another engine: ahead of time one takes a fraction of a second to build."""
        return self.compile(source, target, precision)

    def load(self, files: Files, target: Target) -> Executor:
        """Deserialise the engine on this PC's GPU.

        Raises:
            TargetUnavailableError: there is no GPU that it was built for, or no TensorRT-RTX of the version that built it.
            PackageError: a file is damaged.
        """
        recipe = _read(files(RECIPE))
        cuda = open_cuda()
        built_for = [f"sm_{c}" for c in recipe["compute_capabilities"]]
        if cuda.sm not in built_for:
            what = f"the engine was built for {', '.join(built_for)}, and this GPU is {cuda.sm}"
            raise TargetUnavailableError(what, where=self.name, cure="Use the package's fp16 or onnxruntime variant.")
        try:
            trt = importlib.import_module("tensorrt_rtx")
        except Exception as error:  # missing libraries surface as OSError, RuntimeError and others
            what = f"tensorrt_rtx can't be imported by the Python that runs this: {first_line(error)}"
            cure = f"Run: pip install tensorrt-rtx-cu13=={recipe['tensorrt_rtx']}"
            raise TargetUnavailableError(what, where=self.name, cure=cure) from error
        if str(trt.__version__) != recipe["tensorrt_rtx"]:
            what = f"the engine was built by TensorRT-RTX {recipe['tensorrt_rtx']}, and {trt.__version__} is here"
            cure = f"Run: pip install tensorrt-rtx-cu13=={recipe['tensorrt_rtx']}, or build the package anew."
            raise TargetUnavailableError(what, where=self.name, cure=cure)
        return executor_for(recipe["input"], EngineCore(trt, files(ENGINE).read_bytes(), cuda), files)

    def stand_in(self, files: Files, target: Target) -> Executor:
        """The same ONNX in ONNX Runtime on the CPU."""
        return open_stand_in(files)

    def profile(self, files: Files, target: Target, numbers: Floats, codes: Ints) -> Mapping[str, Any]:
        """Quantiles of one row's time on the GPU, a table's encoding and copies included."""
        return latency(self.load(files, target), numbers, codes)


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_bytes())
        given = values.get("input", ENCODED)
        if given not in ELEMENTS:
            raise ValueError(f"no engine takes {given!r}")
        return {
            "compute_capabilities": [str(c) for c in values["compute_capabilities"]],
            "tensorrt_rtx": str(values["tensorrt_rtx"]),
            "input": given,
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        cure = "Build the package anew."
        raise PackageError("the recipe can't be read", where=str(path), seen=str(error), cure=cure) from error
