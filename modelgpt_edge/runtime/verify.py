"""Verify a package where it stands: each form that runs here against the golden rows, one hop each."""

from __future__ import annotations

from modelgpt_edge.gate import Hop, compare
from modelgpt_edge.golden import Golden
from modelgpt_edge.manifest import GOLDEN, Variant
from modelgpt_edge.runtime.executors import open_executor
from modelgpt_edge.runtime.model import Model
from modelgpt_edge.runtime.opening import Package


def verify_package(package: Package) -> list[Hop]:
    """Hops of the ONNX model and of every variant; those for another device run in ONNX Runtime as a stand-in."""
    golden = Golden.read(package.file(GOLDEN))
    forms: list[Variant | None] = [None, *package.manifest.variants]
    return [_hop(package, golden, variant) for variant in forms]


def _hop(package: Package, golden: Golden, variant: Variant | None) -> Hop:
    model = Model(package, variant, open_executor(package, variant))
    words = [golden.words[:, s] for s in range(golden.words.shape[1])]
    got = model.run(golden.numbers, words)
    if variant is None:
        return compare("onnx", golden.outputs, got, "fp32", golden.unit)
    stand_in = "" if variant.status == "runs here" else " (in ONNX Runtime; built, not run on the device)"
    name = f"{variant.target} {variant.backend} {variant.precision}{stand_in}"
    return compare(name, golden.outputs, got, variant.precision, golden.unit)
