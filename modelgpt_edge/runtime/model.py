"""Open a package and load the form of it that suits this machine; never builds, never downloads."""

from __future__ import annotations

import warnings
from pathlib import Path

from modelgpt_edge.errors import ModelgptEdgeError
from modelgpt_edge.manifest import Variant
from modelgpt_edge.runtime.choosing import named_variant
from modelgpt_edge.runtime.executors import open_anywhere, open_here, open_truth, runs_here
from modelgpt_edge.runtime.opening import Package, open_package
from modelgpt_edge.runtime.table_model import Model as Model
from modelgpt_edge.targets.backend import Executor
from modelgpt_edge.targets.board import board_name, is_board
from modelgpt_edge.targets.registry import find_target
from modelgpt_edge.targets.target import RUNS_HERE, machine


def load(path: str | Path, variant: str | None = None) -> Model:
    """Open a package and load one of its variants; never builds, never downloads.

    Args:
        path: the package's folder.
        variant: ``target-backend-precision``, or ``model`` for the package's ONNX model itself. One made for another device
            runs in that device's emulator, or by a stand-in, and a warning says so. Without a name the first variant made for
            this kind of machine, one of this very board before others; one that can't be used is passed over with a warning.

    Raises:
        PackageError: the package is damaged, or has no such variant.
        TargetUnavailableError: the variant asked for can't be run here.
    """
    package = open_package(path)
    if variant is not None:
        return _open_named(package, named_variant(package, variant))
    for candidate in _made_for_here(package):
        try:
            return model_of(package, candidate, open_here(package, candidate))
        except ModelgptEdgeError as error:
            warnings.warn(f"variant {candidate.name} can't be used, the next one is: {error}", RuntimeWarning, stacklevel=2)
    if not any(runs_here(v) for v in package.manifest.variants):
        made = ", ".join(sorted({v.target for v in package.manifest.variants})) or "none"
        warnings.warn(
            f"the package has no variant for this kind of machine ({machine()}; it has: {made}): its ONNX model runs instead",
            RuntimeWarning,
            stacklevel=2,
        )
    return model_of(package, None, open_truth(package))


def model_of(package: Package, variant: Variant | None, executor: Executor) -> Model:
    """The model of an opened package: of a table's rows, of texts, or of pictures."""
    modality = package.manifest.requirement.modality
    if modality == "text":
        from modelgpt_edge.runtime.text_model import TextModel

        return TextModel(package, variant, executor)
    if modality == "image":
        from modelgpt_edge.runtime.image_model import PictureModel

        return PictureModel(package, variant, executor)
    return Model(package, variant, executor)


def _made_for_here(package: Package) -> list[Variant]:
    """Variants for this kind of machine in the order of the package, those of this very board first."""
    name = board_name()
    return sorted(
        (v for v in package.manifest.variants if runs_here(v)), key=lambda v: not is_board(find_target(v.target).title, name)
    )


def _open_named(package: Package, variant: Variant | None) -> Model:
    if variant is None:
        return model_of(package, None, open_truth(package))
    opened = open_anywhere(package, variant)
    if opened.checked != RUNS_HERE:
        warnings.warn(f"variant {variant.name} {opened.checked}: {opened.because}", RuntimeWarning, stacklevel=3)
    return model_of(package, variant, opened.executor)
