"""Verify a package where it stands: each form that runs here against the golden rows, one hop each."""

from __future__ import annotations

from modelgpt_edge.errors import ModelgptEdgeError
from modelgpt_edge.gate import Hop, compare
from modelgpt_edge.golden import Golden
from modelgpt_edge.manifest import GOLDEN, Variant
from modelgpt_edge.runtime.executors import open_executor
from modelgpt_edge.runtime.model import Model
from modelgpt_edge.runtime.opening import Package
from modelgpt_edge.targets.target import RUNS_HERE


def verify_package(package: Package) -> tuple[list[Hop], dict[str, str]]:
    """Hops of the ONNX model and of every variant, and by name the variants that can't be loaded here, with the reason.

    Variants for another device run in ONNX Runtime as a stand-in.
    """
    golden = Golden.read(package.file(GOLDEN))
    hops, left_out = [_hop(Model(package, None, open_executor(package, None)), golden)], {}
    for variant in package.manifest.variants:
        try:
            model = Model(package, variant, open_executor(package, variant))
        except ModelgptEdgeError as error:
            left_out[variant.name] = str(error)
            continue
        hops.append(_hop(model, golden, variant))
    return hops, left_out


def _hop(model: Model, golden: Golden, variant: Variant | None = None) -> Hop:
    words = [golden.words[:, s] for s in range(golden.words.shape[1])]
    got = model.run(golden.numbers, words)
    if variant is None:
        return compare("onnx", golden.outputs, got, "fp32", golden.unit)
    stand_in = "" if variant.status == RUNS_HERE else " (in ONNX Runtime; built, not run on the device)"
    name = f"{variant.target} {variant.backend} {variant.precision}{stand_in}"
    return compare(name, golden.outputs, got, variant.precision, golden.unit)
