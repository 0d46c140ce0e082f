"""TensorRT-RTX as a proxy for a Jetson's TensorRT: the parser is of the same family, so what it refuses would fail there too.

It proves that the model parses strongly typed and compiles for a related GPU; it runs nothing, and knows no Orin.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from modelgpt_edge.targets.tensorrt.feed import Feed
from modelgpt_edge.targets.tensorrt_rtx.building import build_ahead

# Ampere, as Orin's GPU is (SM 8.7, which TensorRT-RTX doesn't build for).
NEAREST = ("86",)


def proxy_check(onnx: bytes, sms: Sequence[str] = NEAREST, feed: Feed | None = None) -> dict[str, Any]:
    """Parse a Jetson variant's ONNX and build it ahead of time: the evidence, as JSON values.

    Returns:
        ``validator``, ``passed``, ``built_for``, ``layers`` (how many of each kind), ``int8_layers`` (those whose output is
        int8), ``engine_bytes`` (None where it wasn't built), ``seconds``, and ``trouble``, "" where it passed.

    Raises:
        TargetUnavailableError: TensorRT-RTX isn't here.
    """
    built = build_ahead(onnx, sms, feed=feed)
    layers = built.answer["layers"]
    return {
        "validator": f"TensorRT-RTX {built.answer['tensorrt_rtx']}, as a proxy",
        "passed": built.engine is not None,
        "built_for": [f"sm_{sm}" for sm in sms],
        "layers": dict(sorted(Counter(kind for kind, _, _ in layers).items())),
        "int8_layers": sum(output == "INT8" for _, _, output in layers),
        "engine_bytes": None if built.engine is None else len(built.engine),
        "seconds": built.answer["seconds"],
        "trouble": built.trouble,
    }
