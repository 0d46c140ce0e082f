"""Swap the weights of an engine for those of another ONNX of the same graph: milliseconds, where building takes seconds.

Who calls this must run the golden rows afterwards: TensorRT 11.3 documents that a refit may drop a product's bias.
"""

from __future__ import annotations

from typing import Any

from modelgpt_edge.targets.tensorrt.building import parser_errors
from modelgpt_edge.targets.tensorrt.cuda import Cuda
from modelgpt_edge.targets.tensorrt.library import failed, open_log

ANEW = "Build it anew: modelgpt-edge finalize PACKAGE --force."


def refit_engine(trt: Any, plan: bytes, onnx: bytes, cuda: Cuda) -> bytes:
    """The plan of the engine with the weights of `onnx`.

    Raises:
        TargetUnavailableError: the engine can't be refitted, or the ONNX is of another graph.
    """
    log = open_log(trt)
    log.take_errors()
    cuda.make_current()
    runtime = trt.Runtime(log)
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None or not engine.refittable:
        raise failed(trt, "the engine can't be refitted", ANEW, "" if engine is None else "it was built without REFIT")
    refitter = trt.Refitter(engine, log)
    parser = trt.OnnxParserRefitter(refitter, log)
    if not parser.refit_from_bytes(onnx):
        raise failed(trt, "the model's weights don't fit the engine", ANEW, parser_errors(parser))
    if not refitter.refit_cuda_engine():
        missing = ", ".join(refitter.get_missing_weights())
        raise failed(trt, "the refit failed", ANEW, f"weights missing: {missing}" if missing else "")
    serialized = engine.serialize()
    if serialized is None:
        raise failed(trt, "the refitted engine can't be stored", ANEW)
    return bytes(serialized)
