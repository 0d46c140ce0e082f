"""The ONNX Runtime backend: the packed graph, numbers and word positions in, on x86 and ARM.

Its probe runs a one-op model on every provider: the library lists what it was built with, which tells nothing of this machine.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.errors import PackageError, TargetUnavailableError
from modelgpt_edge.targets.backend import (
    Artefact,
    Availability,
    Check,
    Executor,
    Files,
    Source,
    first_line,
    installed_version,
)
from modelgpt_edge.targets.target import Target
from modelgpt_edge.targets.timing import latency
from modelgpt_edge.tokens import by_length

MODEL = "model.onnx"

CPU = "CPUExecutionProvider"
# Sends a model's inputs to a remote endpoint; it has no device here to try.
REMOTE = frozenset({"AzureExecutionProvider"})
# Pictures in one call; as many calls are under way as there are processors.
AT_ONCE = 4
INSTALL = "pip install 'onnxruntime>=1.17'"

# A whole ONNX model, y = x + x on one float32, written out as protobuf so that a probe needs no onnx package.
ONE_OP_MODEL = (
    b"\x08\x08"  # ir_version 8
    b"\x42\x04\x0a\x00\x10\x0d"  # opset_import: default domain, version 13
    b"\x3a\x37"  # graph, 55 bytes:
    b"\x0a\x0e\x0a\x01x\x0a\x01x\x12\x01y\x22\x03Add"  # node: inputs x and x, output y, op_type Add
    b"\x12\x03one"  # name
    b"\x5a\x0f\x0a\x01x\x12\x0a\x0a\x08\x08\x01\x12\x04\x0a\x02\x08\x01"  # input x: tensor of float32, shape [1]
    b"\x62\x0f\x0a\x01y\x12\x0a\x0a\x08\x08\x01\x12\x04\x0a\x02\x08\x01"  # output y: likewise
)


def import_library() -> Any:
    """The onnxruntime module, with its telemetry off: recent builds would send usage data, and a device must not."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return importlib.import_module("onnxruntime")


def open_session(
    model: bytes | str, threads: int = 1, fuse_quantised: bool = True, apart: Mapping[str, NDArray[Any]] | None = None
) -> Any:
    """An `InferenceSession` on the CPU for a model's bytes or path.

    One thread by default: small models lose more to waking threads than they gain. Several sleep where they have nothing to
    do, since others work beside them; by default they would keep their processors turning.

    Args:
        fuse_quantised: whether QuantizeLinear and what it stands around become one integer operator; otherwise both are
            computed as ONNX defines them, which is what another runtime's exact integers come to: on processors without VNNI
            the fused ones saturate where activations or weights are signed.
        apart: constants whose data isn't in the bytes, see `Graph.apart`; they are read where they lie, so they must outlive
            the session.
    """
    library = import_library()
    options = library.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if threads > 1:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if apart:
        values = [library.OrtValue.ortvalue_from_numpy(array) for array in apart.values()]
        options.add_external_initializers(list(apart), values)
    if not fuse_quantised:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    return library.InferenceSession(model, options, providers=[CPU])


def open_model(path: Path, fuse_quantised: bool = True) -> Any:
    """An `InferenceSession` for a package's file, see `open_session`.

    Raises:
        TargetUnavailableError: ONNX Runtime isn't installed.
        PackageError: the model can't be loaded.
    """
    try:
        return open_session(str(path), fuse_quantised=fuse_quantised)
    except ModuleNotFoundError as error:
        raise TargetUnavailableError("onnxruntime is not installed here", where="load", cure=f"Run: {INSTALL}") from error
    except Exception as error:  # ONNX Runtime raises many types for a model that it can't load
        raise PackageError("ONNX Runtime can't load the model", where=str(path), seen=str(error), cure="Build anew.") from error


class PackedExecutor:
    """ONNX Runtime on a packed graph: the quickest front that takes numbers and word positions."""

    def __init__(self, session: Any) -> None:
        self._run = session.run
        self._names = [i.name for i in session.get_inputs()]  # a table without numbers, or without words, has one input

    def run(self, numbers: Floats, codes: Ints) -> Floats:
        """See `targets.backend.Executor`."""
        given = {"numbers": numbers, "codes": codes}
        return two_dimensional(self._run(None, {name: given[name] for name in self._names})[0])


class TokensExecutor:
    """ONNX Runtime on a graph from token ids."""

    def __init__(self, session: Any) -> None:
        self._run = session.run

    def run(self, numbers: Floats, codes: Ints) -> Floats:
        """See `targets.backend.Executor`."""
        return by_length(codes, lambda ids: self._run(None, {"codes": ids})[-1])


def run_on_pictures(session: Any, pictures: Ints, names: Sequence[str] | None = None) -> Iterator[tuple[slice, list[Floats]]]:
    """Places and outputs of a few pictures (N, S, S, 3) after the other; as many calls are under way as there are processors.

    A few, for a backbone's maps take megabytes each, and those that stay in a processor's cache are the quickest.

    Args:
        session: of one thread, from ``pixels``.
        names: of the outputs; every one where not given.
    """
    places = [slice(i, i + AT_ONCE) for i in range(0, len(pictures), AT_ONCE)]
    pool = ThreadPoolExecutor(max(1, min(len(places), os.cpu_count() or 1)))
    try:
        yield from zip(places, pool.map(lambda place: session.run(names, {"pixels": pictures[place]}), places))
    finally:
        pool.shutdown(cancel_futures=True)


class PixelsExecutor:
    """ONNX Runtime on a graph from pictures."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def run(self, numbers: Floats, codes: Ints) -> Floats:
        """See `targets.backend.Executor`."""
        if len(codes) > AT_ONCE:
            return np.concatenate([outputs[-1] for _, outputs in run_on_pictures(self._session, codes)])
        outputs: Floats = self._session.run(None, {"pixels": codes})[-1]
        return outputs


def executor_of(session: Any) -> Executor:
    """What runs a session: one of token ids takes a matrix of codes of any width, one of pictures pixels."""
    inputs = session.get_inputs()
    if [i.name for i in inputs] == ["pixels"]:
        return PixelsExecutor(session)
    texts = [i.name for i in inputs] == ["codes"] and not isinstance(inputs[0].shape[1], int)
    return TokensExecutor(session) if texts else PackedExecutor(session)


def two_dimensional(outputs: Any) -> Floats:
    """Outputs (N, K), or values (N,) as (N, 1)."""
    array: Floats = outputs
    return array if array.ndim == 2 else array[:, None]


class OnnxRuntime:
    """Runs ONNX files on x86 and ARM, and through its CUDA or TensorRT provider on a GPU."""

    name = "onnxruntime"
    precisions = ("fp32", "int8", "int8-dynamic", "fp16")
    fronts = ("packed", "tokens", "pixels")
    by_default = True

    def compile(self, source: Source, target: Target, precision: str) -> Artefact:
        """The whole graph in a precision; nothing is built for one machine, so every target may have it."""
        return Artefact({MODEL: source.onnx(source.front, precision), **source.beside}, source.front)

    def refit(self, files: Files, source: Source, target: Target, precision: str) -> Artefact:
        """The same graph with other initializers."""
        return self.compile(source, target, precision)

    def load(self, files: Files, target: Target) -> Executor:
        """A session on one CPU thread."""
        return executor_of(open_model(files(MODEL)))

    def stand_in(self, files: Files, target: Target) -> Executor:
        """The same file in this machine's ONNX Runtime: the same operators, other machine code."""
        return self.load(files, target)

    def profile(self, files: Files, target: Target, numbers: Floats, codes: Ints) -> Mapping[str, Any]:
        """Quantiles of one row's time, on the target's own kind of machine alone."""
        if not target.is_here:
            raise TargetUnavailableError(f"{target.title} can't be timed from here", where="profile", cure="Run it there.")
        return latency(self.load(files, target), numbers, codes)

    def probe(self) -> Availability:
        """Import onnxruntime and run the one-op model on each provider it lists."""
        try:
            library = import_library()
        except ModuleNotFoundError:
            return Availability(False, "", "onnxruntime is not installed", INSTALL)
        except Exception as error:  # a broken binary raises what its loader likes
            why = f"onnxruntime is installed but doesn't import: {first_line(error)}"
            return Availability(False, installed_version("onnxruntime"), why, _reinstall())
        checks = tuple(_run_one_op(library, p) for p in library.get_available_providers() if p not in REMOTE)
        version = str(library.__version__)
        cpu = next((c for c in checks if c.name == CPU), None)
        if cpu is None or not cpu.passed:
            why = cpu.detail if cpu else f"it lists no {CPU}"
            return Availability(False, version, f"onnxruntime does not run a one-op model: {why}", _reinstall(), checks)
        failed = [c.name for c in checks if not c.passed]
        ran = ", ".join(c.name for c in checks if c.passed)
        cure = (
            f"Install the libraries that {', '.join(failed)} needs, in the version this onnxruntime was built for"
            if failed
            else ""
        )
        return Availability(True, version, f"a one-op model ran on {ran}", cure, checks)


def _run_one_op(library: Any, provider: str) -> Check:
    """Run y = x + x on one provider, without its silent fallback to the CPU."""
    options = library.SessionOptions()
    options.log_severity_level = 4  # the reason is returned, not logged
    options.intra_op_num_threads = 1
    if provider != CPU:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        session = library.InferenceSession(ONE_OP_MODEL, options, providers=[provider], enable_fallback=0)
        if provider not in session.get_providers():
            return Check(provider, False, "listed, but its libraries don't load")
        (y,) = session.run(None, {"x": np.array([1.5], np.float32)})
    except Exception as error:  # each provider has its own exception types; any of them is the answer
        return Check(provider, False, first_line(error))
    right = y.shape == (1,) and float(y[0]) == 3.0
    return Check(provider, right, "ran a one-op model" if right else f"1.5 + 1.5 gave {y!r}")


def _reinstall() -> str:
    return INSTALL.replace("install", "install --force-reinstall", 1)
