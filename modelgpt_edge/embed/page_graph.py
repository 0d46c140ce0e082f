"""Which graph of a package goes into a page: of a model of texts or of pictures, whose ONNX forms pages run as they are."""

from __future__ import annotations

from modelgpt_edge.errors import InputError
from modelgpt_edge.manifest import TRUTH, Variant
from modelgpt_edge.runtime.opening import Package

GRAPH = "model.onnx"
# Written for pages or for a processor: what TensorRT takes isn't what onnxruntime-web is quick at.
BACKENDS = ("onnxruntime-web", "onnxruntime")


def page_graph(package: Package, variant: Variant | None) -> tuple[bytes, str | None]:
    """The variant's graph, else the browser's, another one's, or the package's own model; and the name of the variant.

    Raises:
        InputError: the variant doesn't run in a page.
    """
    fitting = [v for v in package.manifest.variants if v.backend in BACKENDS]
    if variant is not None and variant not in fitting:
        cure = f"Give one of: {', '.join(v.name for v in fitting)}." if fitting else "Leave --variant out."
        raise InputError("onnxruntime-web doesn't run this variant", where="--variant", seen=variant.name, cure=cure)
    chosen = variant or next(iter(sorted(fitting, key=lambda v: v.target != "browser")), None)
    if chosen is None:
        return package.file(TRUTH).read_bytes(), None
    return package.file(f"{chosen.path}/{GRAPH}").read_bytes(), chosen.name


def check_language(language: str, things: str) -> None:
    """InputError for another language than JavaScript, the one that apps around such models are in so far."""
    if language != "javascript":
        cure = "Give --language javascript; in Python, modelgpt_edge.load() runs the package as it is."
        what = f"apps for models of {things} are in JavaScript alone so far"
        raise InputError(what, where="--language", seen=language, cure=cure)
