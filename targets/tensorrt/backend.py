"""The TensorRT backend: ONNX and a recipe from the host; on the board the engine that `finalize` built there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.encoder_file import encoder_bytes
from modelgpt_edge.errors import TargetUnavailableError
from modelgpt_edge.targets.backend import Artefact, Availability, Executor, Files, Source
from modelgpt_edge.targets.onnxruntime import executor_of, open_model
from modelgpt_edge.targets.target import Target
from modelgpt_edge.targets.tensorrt.board import read_board
from modelgpt_edge.targets.tensorrt.cuda import open_cuda
from modelgpt_edge.targets.tensorrt.engine import Key, engine_folder, read_engine
from modelgpt_edge.targets.tensorrt.executor import ENCODER, EngineCore, executor_for
from modelgpt_edge.targets.tensorrt.feed import ENCODED, Feed
from modelgpt_edge.targets.tensorrt.library import import_library, probe_library
from modelgpt_edge.targets.tensorrt.recipe import RECIPE, Recipe
from modelgpt_edge.targets.timing import latency

MODEL = "model.onnx"


class TensorRt:
    """Runs an engine that was built on the board it runs on."""

    name = "tensorrt"
    precisions = ("fp16", "int8", "fp32")
    fronts = ("packed", "tokens", "pixels")
    by_default = True

    def probe(self) -> Availability:
        """Import the ``tensorrt`` module; no engine is built, as that takes seconds and a GPU."""
        return probe_library()

    def compile(self, source: Source, target: Target, precision: str) -> Artefact:
        """ONNX that says every type, what feeds it, and the recipe; TensorRT isn't needed for it."""
        feed = Feed.of(source)
        recipe = Recipe.of(target, precision, feed).to_bytes()
        files = {MODEL: source.typed(precision), **feeding(source), RECIPE: recipe}
        return Artefact(files, typed_front(source), _proxy(files[MODEL], feed))

    def refit(self, files: Files, source: Source, target: Target, precision: str) -> Artefact:
        """The same graph with other initializers; on the board `finalize` refits the engine with it."""
        return self.compile(source, target, precision)

    def load(self, files: Files, target: Target) -> Executor:
        """The finalized engine, where its key matches this board. Never builds.

        Raises:
            TargetUnavailableError: this is no such board, or no engine matches it; says what doesn't, and how to mend it.
            PackageError: a file is damaged.
        """
        cuda = open_cuda()
        if cuda.sm != target.sm:
            cure = f"Run it on this device: {target.title}, or build with another --target."
            raise TargetUnavailableError(f"this GPU is {cuda.sm}, no {target.sm}", where=target.name, cure=cure)
        trt = import_library()
        model, recipe = files(MODEL), Recipe.read(files(RECIPE))
        found = read_engine(engine_folder(model.parent))
        wrong = found.differences(Key.of(model.read_bytes(), str(trt.__version__), read_board(cuda), recipe))
        if wrong:
            raise _unusable(model.parent, "; ".join(wrong.values()))
        return executor_for(recipe.feed.name, EngineCore(trt, found.plan, cuda), files)

    def stand_in(self, files: Files, target: Target) -> Executor:
        """The same ONNX in ONNX Runtime on the CPU."""
        return open_stand_in(files)

    def profile(self, files: Files, target: Target, numbers: Floats, codes: Ints) -> Mapping[str, Any]:
        """Quantiles of one row's time on the board, a table's encoding and copies included."""
        return latency(self.load(files, target), numbers, codes)


def feeding(source: Source) -> dict[str, bytes]:
    """Files that what feeds an engine needs on the device: a table's encoder, a tokenizer, or nothing."""
    return {ENCODER: encoder_bytes(source.child.encoder)} if source.front == "packed" else dict(source.beside)


def typed_front(source: Source) -> str:
    """What `Source.typed` takes: see `Artefact.front`."""
    return "encoded" if source.front == "packed" else source.front


def open_stand_in(files: Files) -> Executor:
    """A variant's ONNX in ONNX Runtime on the CPU, rounding as it is written; a table's encoding in numpy."""
    session = open_model(files(MODEL), fuse_quantised=False)
    if session.get_inputs()[0].name != ENCODED:
        return executor_of(session)
    return executor_for(ENCODED, lambda encoded: session.run(None, {ENCODED: encoded})[0], files)


def _proxy(onnx: bytes, feed: Feed) -> dict[str, Any]:
    """What TensorRT-RTX says of the graph, where it is at hand: its parser is of the same family."""
    from modelgpt_edge.targets.tensorrt_rtx.proxy import proxy_check

    try:
        return {"proxy": proxy_check(onnx, feed=feed)}
    except TargetUnavailableError:
        return {}


def _unusable(variant: Path, why: str) -> TargetUnavailableError:
    package = variant.parent.parent if engine_folder(variant) else "PACKAGE"
    cure = f"Run on this board: modelgpt-edge finalize {package}"
    return TargetUnavailableError(f"its TensorRT engine can't be used: {why}", where=variant.name, cure=cure)
