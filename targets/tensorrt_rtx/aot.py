"""Build one engine ahead of time with TensorRT-RTX; a script for the interpreter that has it, and needs nothing else.

``python aot.py FOLDER`` reads ``request.json`` and ``model.onnx`` there, and writes ``answer.json`` and, where it could be
built, ``engine``. ``python aot.py --version`` prints the library's version. Only tensorrt_rtx and the standard library may
come in here.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

trt: Any = importlib.import_module("tensorrt_rtx")


class Log(trt.ILogger):  # type: ignore[misc]  # the base is known at run time alone
    """Keeps what TensorRT-RTX says, errors apart."""

    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self.errors: list[str] = []
        self.warnings: list[str] = []

    def log(self, severity: Any, message: str) -> None:
        """Called by the library."""
        if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
            self.errors.append(message)
        elif severity == trt.ILogger.WARNING:
            self.warnings.append(message)


def build(onnx: bytes, request: dict[str, Any]) -> tuple[dict[str, Any], bytes | None]:
    """The answer, and the engine or None; ``shapes`` of the one input, or what varies is 1 to the request's ``rows``."""
    started = time.perf_counter()
    log = Log()
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    parsed = parser.parse(onnx)
    found = [parser.get_error(i) for i in range(parser.num_errors)]
    answer: dict[str, Any] = {
        "tensorrt_rtx": trt.__version__,
        "parsed": parsed,
        "parser_errors": [f"node {e.node_name()!r} ({e.node_operator()}): {e.desc()}" for e in found],
        "layers": _layers(network) if parsed else [],
    }
    engine = _serialized(builder, network, request) if parsed else None
    answer |= {"errors": log.errors, "warnings": log.warnings, "seconds": round(time.perf_counter() - started, 3)}
    return answer, engine


def _serialized(builder: Any, network: Any, request: dict[str, Any]) -> bytes | None:
    config = builder.create_builder_config()
    capabilities = request["compute_capabilities"]
    config.num_compute_capabilities = len(capabilities)
    for place, capability in enumerate(capabilities):
        config.set_compute_capability(getattr(trt.ComputeCapability, f"SM{capability}"), place)
    if not request["tf32"]:
        config.clear_flag(trt.BuilderFlag.TF32)
    profile = builder.create_optimization_profile()
    for i in range(network.num_inputs):
        given = network.get_input(i)
        free = [[rows if d == -1 else d for d in given.shape] for rows in (1, 1, request["rows"])]
        profile.set_shape(given.name, *map(tuple, request["shapes"] or free))
    config.add_optimization_profile(profile)
    built = builder.build_serialized_network(network, config)
    return None if built is None else bytes(built)


def _layers(network: Any) -> list[list[str]]:
    """Kind, name and type of what comes out, of each layer."""
    layers = (network.get_layer(i) for i in range(network.num_layers))
    return [[layer.type.name, layer.name, layer.get_output(0).dtype.name] for layer in layers]


def main(argument: str) -> None:
    """Answer a request."""
    if argument == "--version":
        print(trt.__version__)
        return
    folder = Path(argument)
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    answer, engine = build((folder / "model.onnx").read_bytes(), request)
    if engine is not None:
        (folder / "engine").write_bytes(engine)
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
