"""Executors: one way each to run a compiled form on typed inputs, numbers (N, C) and word positions (N, S)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from modelgpt_edge.child import Encoder, Floats, Ints
from modelgpt_edge.encoder_file import read_encoder
from modelgpt_edge.errors import PackageError, TargetUnavailableError
from modelgpt_edge.manifest import TRUTH, Variant
from modelgpt_edge.runtime.opening import Package
from modelgpt_edge.targets.native_tabular import LIBRARY, TABLES, open_native
from modelgpt_edge.targets.onnxruntime import INSTALL, open_session

ENCODER = "encoder.safetensors"
MODEL = "model.onnx"


class Executor(Protocol):
    """Runs a model."""

    def run(self, numbers: Floats, codes: Ints) -> Floats:
        """Probabilities (N, K) or values (N, 1) of numbers (N, C), NaN missing, and word positions (N, S), -1 unknown."""


class PackedExecutor:
    """ONNX Runtime on a packed graph: the quickest front."""

    def __init__(self, session: Any) -> None:
        self._run = session.run
        self._names = [i.name for i in session.get_inputs()]

    def run(self, numbers: Floats, codes: Ints) -> Floats:
        """See `Executor`."""
        feed = {"numbers": numbers, "codes": codes} if len(self._names) == 2 else {
            self._names[0]: numbers if self._names[0] == "numbers" else codes
        }  # fmt: skip
        return _two_dimensional(self._run(None, feed)[0])


class EncodedExecutor:
    """ONNX Runtime on a numeric core; the encoding runs in numpy."""

    def __init__(self, session: Any, encoder: Encoder) -> None:
        self._session, self._encoder = session, encoder

    def run(self, numbers: Floats, codes: Ints) -> Floats:
        """See `Executor`."""
        return _two_dimensional(self._session.run(None, {"encoded": self._encoder.encode(numbers, codes)})[0])


class RawExecutor:
    """ONNX Runtime on the package's own model: a tensor a column, words as strings."""

    def __init__(self, session: Any, numbers: list[str], words: list[str], vocabularies: tuple[tuple[str, ...], ...]) -> None:
        self._session, self._numbers, self._words = session, numbers, words
        # Position -1, an unknown or missing word, picks the last entry.
        self._vocabularies = [np.array([*v, ""], object) for v in vocabularies]

    def run(self, numbers: Floats, codes: Ints) -> Floats:
        """See `Executor`."""
        feed = {name: np.ascontiguousarray(numbers[:, i : i + 1]) for i, name in enumerate(self._numbers)}
        feed |= {name: v[codes[:, s]][:, None] for s, (name, v) in enumerate(zip(self._words, self._vocabularies))}
        return _two_dimensional(self._session.run(None, feed)[-1])


def _two_dimensional(outputs: Any) -> Floats:
    array: Floats = outputs
    return array if array.ndim == 2 else array[:, None]


def open_executor(package: Package, variant: Variant | None) -> Executor:
    """The executor of a variant, or of the package's ONNX model.

    Raises:
        TargetUnavailableError: ONNX Runtime isn't installed.
        PackageError: the model can't be loaded.
    """
    manifest = package.manifest
    if variant is not None and variant.front == "native":
        return open_native(package.file(f"{variant.path}/{LIBRARY}"), package.file(f"{variant.path}/{TABLES}"))
    session = _session(package.file(TRUTH if variant is None else f"{variant.path}/{MODEL}"))
    if variant is None:
        words = [c.name for c in manifest.requirement.schema.words if c.name in set(manifest.inputs)]
        numbers = [n for n in manifest.inputs if n not in set(words)]
        return RawExecutor(session, numbers, words, manifest.vocabularies)
    if variant.front == "packed":
        return PackedExecutor(session)
    return EncodedExecutor(session, read_encoder(package.file(f"{variant.path}/{ENCODER}")))


def _session(path: Path) -> Any:
    try:
        return open_session(str(path))
    except ModuleNotFoundError as error:
        raise TargetUnavailableError("onnxruntime is not installed here", where="load", cure=f"Run: {INSTALL}") from error
    except Exception as error:  # ONNX Runtime raises many types for a model that it can't load
        raise PackageError("ONNX Runtime can't load the model", where=str(path), seen=str(error), cure="Build anew.") from error
