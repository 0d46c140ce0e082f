"""Open what a package holds: a variant through its backend, or the package's own ONNX model."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.errors import InputError, PackageError
from modelgpt_edge.manifest import TRUTH, Variant
from modelgpt_edge.runtime.opening import Package
from modelgpt_edge.targets.backend import Backend, Executor, Files
from modelgpt_edge.targets.backends import BACKENDS
from modelgpt_edge.targets.onnxruntime import executor_of, open_model, two_dimensional
from modelgpt_edge.targets.registry import find_target
from modelgpt_edge.targets.running import Opened, open_nearest
from modelgpt_edge.targets.target import Target


class RawExecutor:
    """ONNX Runtime on the package's own model: a tensor a column, words as strings."""

    def __init__(self, session: Any, numbers: list[str], words: list[str], vocabularies: tuple[tuple[str, ...], ...]) -> None:
        self._session, self._numbers, self._words = session, numbers, words
        # Position -1, an unknown or missing word, picks the last entry.
        self._vocabularies = [np.array([*v, ""], object) for v in vocabularies]

    def run(self, numbers: Floats, codes: Ints) -> Floats:
        """See `targets.backend.Executor`."""
        feed = {name: np.ascontiguousarray(numbers[:, i : i + 1]) for i, name in enumerate(self._numbers)}
        feed |= {name: v[codes[:, s]][:, None] for s, (name, v) in enumerate(zip(self._words, self._vocabularies))}
        return two_dimensional(self._session.run(None, feed)[-1])


def open_truth(package: Package) -> Executor:
    """The package's own ONNX model, which runs wherever ONNX Runtime does.

    Raises:
        TargetUnavailableError: ONNX Runtime isn't installed.
        PackageError: the model can't be loaded.
    """
    manifest = package.manifest
    if manifest.requirement.modality in ("text", "image"):
        return executor_of(open_model(package.file(TRUTH)))
    words = [c.name for c in manifest.requirement.schema.words if c.name in set(manifest.inputs)]
    numbers = [n for n in manifest.inputs if n not in set(words)]
    return RawExecutor(open_model(package.file(TRUTH)), numbers, words, manifest.vocabularies)


def open_here(package: Package, variant: Variant) -> Executor:
    """A variant on the device that it was made for.

    Raises:
        TargetUnavailableError: its runtime isn't here, or this isn't such a device.
        PackageError: the variant can't be loaded.
    """
    backend, files, target = variant_parts(package, variant)
    return backend.load(files, target)


def open_anywhere(package: Package, variant: Variant) -> Opened:
    """A variant the nearest way to its device: on it, in its emulator, or by a stand-in; raises as `open_here`."""
    backend, files, target = variant_parts(package, variant)
    return open_nearest(backend.name, files, target)


def runs_here(variant: Variant) -> bool:
    """Whether this machine's processor is of the kind that a variant was made for."""
    try:
        return find_target(variant.target).is_here
    except InputError:  # a target of a plug-in that isn't installed here
        return False


def variant_parts(package: Package, variant: Variant) -> tuple[Backend, Files, Target]:
    """The backend, the files and the target of a variant; PackageError where one is unknown here."""
    if variant.backend not in BACKENDS:
        cure = "Update modelgpt-edge: pip install -U modelgpt-edge."
        raise PackageError("a variant needs a backend that isn't known here", where="load", seen=variant.backend, cure=cure)
    try:
        target = find_target(variant.target)
    except InputError as error:
        cure = "Install the plug-in that brings it, or update modelgpt-edge."
        raise PackageError("a variant's target isn't known here", where="load", seen=variant.target, cure=cure) from error
    return BACKENDS[variant.backend], lambda name: package.file(f"{variant.path}/{name}"), target
