"""The targets and backends that ship with the project: those that can be built today, and no others."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from modelgpt_edge.targets.backend import Backend
from modelgpt_edge.targets.native import Native
from modelgpt_edge.targets.onnxruntime import OnnxRuntime
from modelgpt_edge.targets.target import BUILT_NOT_RUN, RUNS_HERE, Target
from modelgpt_edge.targets.tensorrt import TensorRt

GIB = 1 << 30
JETPACK_6_2 = {"JetPack 6.2": "CUDA 12.6, TensorRT 10.3"}
JETPACK_7_2 = {"JetPack 7.2": "CUDA 13.2, TensorRT 10.16"}

BACKENDS: Mapping[str, Backend] = MappingProxyType({b.name: b for b in (Native(), OnnxRuntime(), TensorRt())})


def _jetson(name: str, title: str, sm: str, ram: int, memory: str, jetpacks: dict[str, str], alias: str = "") -> Target:
    """A Jetson: fp16 first, as its tensor cores want it; the engine is built on the board by `finalize`."""
    return Target(
        name=name,
        aliases=(alias,) if alias else (),
        title=title,
        arch="aarch64",
        sm=sm,
        ram_bytes=ram * GIB,
        precisions=("fp16", "int8"),
        backends=("tensorrt", "onnxruntime"),
        checked=BUILT_NOT_RUN,
        facts={**jetpacks, "memory": memory},
    )


BUILTIN: tuple[Target, ...] = (
    Target(
        name="x86",
        aliases=("x86-64", "amd64"),
        title="PC or server (x86-64)",
        arch="x86_64",
        precisions=("fp32", "int8"),
        backends=("native", "onnxruntime"),
        checked=RUNS_HERE,
    ),
    _jetson(
        "jetson-orin-nano",
        "NVIDIA Jetson Orin Nano",
        "sm_87",
        4,
        "4 or 8 GB, shared with the GPU",
        {**JETPACK_6_2, **JETPACK_7_2},
        alias="jetson",
    ),
    _jetson(
        "jetson-orin-nx",
        "NVIDIA Jetson Orin NX",
        "sm_87",
        8,
        "8 or 16 GB, shared with the GPU",
        {**JETPACK_6_2, **JETPACK_7_2},
    ),
    _jetson(
        "jetson-agx-orin",
        "NVIDIA Jetson AGX Orin",
        "sm_87",
        32,
        "32 or 64 GB, shared with the GPU",
        {**JETPACK_6_2, **JETPACK_7_2},
    ),
    _jetson("jetson-thor", "NVIDIA Jetson Thor", "sm_110", 64, "64 or 128 GB, shared with the GPU", JETPACK_7_2),
)
