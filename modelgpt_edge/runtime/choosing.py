"""Which variants of a package a command is about: all of them, or the one that it was asked for by name."""

from __future__ import annotations

from modelgpt_edge.errors import PackageError, nearest
from modelgpt_edge.manifest import Variant
from modelgpt_edge.runtime.opening import Package

MODEL = "model"


def named_variant(package: Package, name: str) -> Variant | None:
    """The variant of a name; None for ``model``, the package's own ONNX model.

    Raises:
        PackageError: the package has no such variant; offers the nearest.
    """
    known: dict[str, Variant | None] = {v.name: v for v in package.manifest.variants}
    known[MODEL] = None
    if name not in known:
        raise PackageError("the package has no such variant", where=str(package.path), seen=name, cure=nearest(name, known))
    return known[name]
