"""A thin FAKE of NVIDIA's ``tensorrt`` Python module, for the control flow around it and nothing else.

Its "engine" is the ONNX with a header, and "runs" through ONNX Runtime on memory of `fake_cuda`: what passes the golden rows
here is real arithmetic, but no TensorRT ever saw it. Two flavours, by what the real modules offer: 10.x (a network is
strongly typed only when asked, BuilderFlag.FP16 and INT8 exist) and 11.x (always strongly typed, those flags are gone).
"""

from __future__ import annotations

import ctypes
import enum
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from modelgpt_edge.targets.onnxruntime import open_session

MAGIC = b"FAKE ENGINE "


class _Logger:
    class Severity(enum.Enum):
        INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = range(5)

    def log(self, severity: Any, message: str) -> None:
        raise NotImplementedError


class _ProgressMonitor:
    pass


class FakeHostMemory(bytes):
    """Like IHostMemory: a buffer with a size."""

    @property
    def nbytes(self) -> int:
        return len(self)


class FakeTensorRT(SimpleNamespace):
    """The module: put it into ``sys.modules["tensorrt"]``.

    Attributes:
        builds: how many engines were built.
        drops_bias: a refit forgets every product's bias, as is documented for 11.3.
        breaks_engines: what is built computes something else.
        build_says, parse_says, run_says: refuse with this message; refit_says: refuse a refittable engine alone.
        interrupt_at: raise KeyboardInterrupt in the progress at this step.
    """

    def __init__(self, version: str) -> None:
        super().__init__()
        self.__version__ = version
        self.builds = 0
        self.drops_bias = self.breaks_engines = False
        self.build_says = self.parse_says = self.run_says = self.refit_says = ""
        self.interrupt_at: int | None = None
        self.timings_given: list[bytes] = []
        self.last_config: Any = None
        old = version.startswith("10.")
        flags = {"REFIT": 4, "TF32": 6, **({"FP16": 0, "INT8": 1} if old else {})}
        self.BuilderFlag = enum.IntEnum("BuilderFlag", flags)
        creation = {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1} if old else {"STRONGLY_TYPED": 1}
        self.NetworkDefinitionCreationFlag = enum.IntEnum("NetworkDefinitionCreationFlag", creation)
        self.MemoryPoolType = enum.IntEnum("MemoryPoolType", {"WORKSPACE": 0})
        self.TensorIOMode = enum.IntEnum("TensorIOMode", {"NONE": 0, "INPUT": 1, "OUTPUT": 2})
        self.ILogger, self.IProgressMonitor = _Logger, _ProgressMonitor
        self.always_strongly_typed = not old

    def __hash__(self) -> int:
        return id(self)

    def Builder(self, log: Any) -> FakeBuilder:  # noqa: N802
        return FakeBuilder(self, log)

    def OnnxParser(self, network: Any, log: Any) -> FakeParser:  # noqa: N802
        return FakeParser(self, network, log)

    def Runtime(self, log: Any) -> FakeRuntime:  # noqa: N802
        return FakeRuntime(self, log)

    def Refitter(self, engine: Any, log: Any) -> FakeRefitter:  # noqa: N802
        return FakeRefitter(engine)

    def OnnxParserRefitter(self, refitter: Any, log: Any) -> FakeOnnxRefitter:  # noqa: N802
        return FakeOnnxRefitter(self, refitter)

    def error(self, log: Any, message: str) -> None:
        log.log(self.ILogger.Severity.ERROR, message)


class _Errors:
    """What a parser collects."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    @property
    def num_errors(self) -> int:
        return len(self.errors)

    def get_error(self, index: int) -> Any:
        text = self.errors[index]
        return SimpleNamespace(desc=lambda: text, node_name=lambda: "head_node", node_operator=lambda: "Gemm")


class FakeNetwork:
    def __init__(self, strongly_typed: bool) -> None:
        self.strongly_typed, self.onnx = strongly_typed, b""


class FakeParser(_Errors):
    def __init__(self, module: FakeTensorRT, network: FakeNetwork, log: Any) -> None:
        super().__init__()
        self._module, self._network = module, network

    def parse(self, model: bytes) -> bool:
        if self._module.parse_says:
            self.errors.append(self._module.parse_says)
            return False
        self._network.onnx = model
        return True


class FakeTimingCache:
    def __init__(self, stored: bytes) -> None:
        self.stored = stored

    def serialize(self) -> FakeHostMemory:
        return FakeHostMemory(self.stored or b"FAKE TIMINGS")


class FakeConfig:
    def __init__(self, module: FakeTensorRT) -> None:
        self._module = module
        self.flags = {module.BuilderFlag.TF32}
        self.pools: dict[Any, int] = {}
        self.profiles: list[FakeProfile] = []
        self.progress_monitor: Any = None
        self._timings: FakeTimingCache | None = None

    def set_flag(self, flag: Any) -> None:
        self.flags.add(flag)

    def clear_flag(self, flag: Any) -> None:
        self.flags.discard(flag)

    def set_memory_pool_limit(self, pool: Any, size: int) -> None:
        self.pools[pool] = size

    def add_optimization_profile(self, profile: FakeProfile) -> int:
        self.profiles.append(profile)
        return 0

    def create_timing_cache(self, stored: bytes) -> FakeTimingCache:
        return FakeTimingCache(stored)

    def set_timing_cache(self, cache: FakeTimingCache, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch, "timings of another device must not be taken"
        if cache.stored and not cache.stored.startswith(b"FAKE TIMINGS"):
            return False
        self._module.timings_given.append(cache.stored)
        self._timings = cache
        return True

    def get_timing_cache(self) -> FakeTimingCache | None:
        return self._timings


class FakeProfile:
    def __init__(self) -> None:
        self.shapes: dict[str, tuple[Any, Any, Any]] = {}

    def set_shape(self, name: str, least: Any, best: Any, most: Any) -> None:
        self.shapes[name] = (least, best, most)


class FakeBuilder:
    def __init__(self, module: FakeTensorRT, log: Any) -> None:
        self._module, self._log = module, log

    def create_network(self, flags: int = 0) -> FakeNetwork:
        asked = bool(flags & 1 << 1)
        return FakeNetwork(asked or self._module.always_strongly_typed)

    def create_builder_config(self) -> FakeConfig:
        self._module.last_config = FakeConfig(self._module)
        return self._module.last_config

    def create_optimization_profile(self) -> FakeProfile:
        return FakeProfile()

    def build_serialized_network(self, network: FakeNetwork, config: FakeConfig) -> FakeHostMemory | None:
        assert network.strongly_typed, "a weakly typed network would not keep the ONNX's types"
        if not self._steps(config.progress_monitor):
            return None
        says = self._module.build_says or (self._module.refit_says if self._module.BuilderFlag.REFIT in config.flags else "")
        if says:
            self._module.error(self._log, says)
            return None
        self._module.builds += 1
        model = _without_bias(network.onnx) if self._module.breaks_engines else network.onnx
        return _engine(self._module, model, config.profiles[0].shapes, self._module.BuilderFlag.REFIT in config.flags)

    def _steps(self, monitor: Any) -> bool:
        """The phases of a build, one inside the other, as the real builder tells them."""
        step = 0
        monitor.phase_start("Building engine", None, 4)
        for outer in range(4):
            monitor.phase_start("Tactics", "Building engine", 2)
            for inner in range(2):
                if step == self._module.interrupt_at and not self._interrupted(monitor, inner):
                    return False
                if not monitor.step_complete("Tactics", inner):
                    return False
                step += 1
            monitor.phase_finish("Tactics")
            if not monitor.step_complete("Building engine", outer):
                return False
        monitor.phase_finish("Building engine")
        return True

    def _interrupted(self, monitor: Any, step: int) -> bool:
        """Ctrl-C, which Python raises at its next bytecode: inside the monitor."""
        import _thread
        import signal

        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            _thread.interrupt_main()
            return bool(monitor.step_complete("Tactics", step))
        finally:
            signal.signal(signal.SIGINT, handler)


def _engine(module: FakeTensorRT, model: bytes, shapes: dict[str, Any], refittable: bool) -> FakeHostMemory:
    header = json.dumps({"version": module.__version__, "shapes": shapes, "refittable": refittable}).encode()
    return FakeHostMemory(MAGIC + len(header).to_bytes(4, "little") + header + model)


class FakeRuntime:
    def __init__(self, module: FakeTensorRT, log: Any) -> None:
        self._module, self._log = module, log

    def deserialize_cuda_engine(self, plan: bytes) -> FakeEngine | None:
        size = int.from_bytes(plan[len(MAGIC) : len(MAGIC) + 4], "little")
        start = len(MAGIC) + 4
        if not plan.startswith(MAGIC):
            self._module.error(self._log, "Magic tag does not match")
            return None
        header = json.loads(plan[start : start + size])
        if header["version"] != self._module.__version__:
            self._module.error(self._log, "The engine plan file is not compatible with this version of TensorRT")
            return None
        return FakeEngine(self._module, header, plan[start + size :], self._log)


class FakeEngine:
    def __init__(self, module: FakeTensorRT, header: dict[str, Any], model: bytes, log: Any) -> None:
        self.module, self.header, self.model, self.log = module, header, model, log
        self.refittable = header["refittable"]
        graph = onnx.load_from_string(model).graph
        self._shapes = {
            v.name: [d.dim_value or -1 for d in v.type.tensor_type.shape.dim] for v in (*graph.input, *graph.output)
        }
        self._inputs = {v.name for v in graph.input}

    @property
    def num_io_tensors(self) -> int:
        return len(self._shapes)

    def get_tensor_name(self, index: int) -> str:
        return list(self._shapes)[index]

    def get_tensor_mode(self, name: str) -> Any:
        return self.module.TensorIOMode.INPUT if name in self._inputs else self.module.TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> list[int]:
        return self._shapes[name]

    def get_tensor_profile_shape(self, name: str, profile: int) -> Any:
        return self.header["shapes"][name]

    def create_execution_context(self) -> FakeContext:
        return FakeContext(self)

    def serialize(self) -> FakeHostMemory:
        return _engine(self.module, self.model, self.header["shapes"], self.refittable)


class FakeContext:
    def __init__(self, engine: FakeEngine) -> None:
        self._engine, self._session = engine, open_session(engine.model, fuse_quantised=False)
        self._addresses: dict[str, int] = {}
        self._shape: tuple[int, ...] = ()

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        least, _, most = self._engine.header["shapes"][name]
        assert all(a <= b <= c for a, b, c in zip(least, shape, most)), f"{shape} is outside of the profile"
        self._shape = tuple(shape)
        return True

    def execute_async_v3(self, stream: int) -> bool:
        if self._engine.module.run_says:
            self._engine.module.error(self._engine.log, self._engine.module.run_says)
            return False
        (given,), (made,) = self._session.get_inputs(), self._session.get_outputs()
        element = np.dtype({"tensor(float)": np.float32, "tensor(int32)": np.int32, "tensor(uint8)": np.uint8}[given.type])
        raw = ctypes.string_at(self._addresses[given.name], element.itemsize * int(np.prod(self._shape)))
        rows = np.frombuffer(raw, element).reshape(self._shape)
        (outputs,) = self._session.run(None, {given.name: rows})
        content = np.ascontiguousarray(outputs, np.float32).tobytes()
        ctypes.memmove(self._addresses[made.name], content, len(content))
        return True


class FakeRefitter:
    def __init__(self, engine: FakeEngine) -> None:
        self.engine, self.model = engine, b""

    def refit_cuda_engine(self) -> bool:
        self.engine.model = self.model
        return True

    def get_missing_weights(self) -> list[str]:
        return []


class FakeOnnxRefitter(_Errors):
    """Takes a model of the same graph alone: equal nodes, equal names and shapes of weights."""

    def __init__(self, module: FakeTensorRT, refitter: FakeRefitter) -> None:
        super().__init__()
        self._module, self._refitter = module, refitter

    def refit_from_bytes(self, model: bytes) -> bool:
        if _skeleton(model) != _skeleton(self._refitter.engine.model):
            self.errors.append("the weights' count differs from the engine's")
            return False
        self._refitter.model = _without_bias(model) if self._module.drops_bias else model
        return True


def _skeleton(model: bytes) -> Any:
    graph = onnx.load_from_string(model).graph
    return [n.op_type for n in graph.node], {i.name: tuple(i.dims) for i in graph.initializer}


def _without_bias(model: bytes) -> bytes:
    loaded = onnx.load_from_string(model)
    biases = {name for node in loaded.graph.node if node.op_type == "Gemm" for name in node.input[2:]}
    for weight in loaded.graph.initializer:
        if weight.name in biases:
            weight.CopyFrom(numpy_helper.from_array(np.zeros_like(numpy_helper.to_array(weight)), weight.name))
    return loaded.SerializeToString()
