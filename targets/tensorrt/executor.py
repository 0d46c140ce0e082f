"""Run what an engine holds, on the GPU or by anything else: a table's numeric core, its encoding in numpy, or a whole model."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Encoder, Floats, Ints
from modelgpt_edge.encoder_file import read_encoder
from modelgpt_edge.targets.backend import Executor, Files
from modelgpt_edge.targets.tensorrt.cuda import Cuda
from modelgpt_edge.targets.tensorrt.feed import CODES, ELEMENTS, PIXELS
from modelgpt_edge.targets.tensorrt.library import failed, open_log
from modelgpt_edge.tokens import by_length

ENCODER = "encoder.safetensors"
AGAIN = "Run on this board: modelgpt-edge finalize PACKAGE --force."


class EncodedExecutor:
    """An executor out of an encoder and a core, encoded rows (N, D) to outputs (N, K), or values (N,) or (N, 1)."""

    def __init__(self, encoder: Encoder, core: Callable[[Floats], Floats]) -> None:
        self._encoder, self._core = encoder, core

    def run(self, numbers: Floats, codes: Ints) -> Floats:
        """See `targets.backend.Executor`."""
        outputs = self._core(self._encoder.encode(numbers, codes))
        return outputs if outputs.ndim == 2 else outputs[:, None]


class WholeExecutor:
    """An executor whose core takes codes as they come: token ids (N, L), or pictures (N, S, S, 3)."""

    def __init__(self, core: Callable[[Ints], Floats]) -> None:
        self._core = core

    def run(self, numbers: Floats, codes: Ints) -> Floats:
        """See `targets.backend.Executor`."""
        return self._core(codes)


def executor_for(feed: str, core: Callable[[Any], Floats], files: Files) -> Executor:
    """What runs a core whose input is called `feed`; a table's encoder is among the files."""
    if feed == CODES:
        return WholeExecutor(lambda codes: by_length(codes, core))
    return WholeExecutor(core) if feed == PIXELS else EncodedExecutor(read_encoder(files(ENCODER)), core)


class EngineCore:
    """A deserialised engine with its buffers on the GPU; calls from several threads run one after the other.

    Args:
        trt: the module that built it, ``tensorrt`` or ``tensorrt_rtx``.
        plan: the serialised engine.

    Raises:
        TargetUnavailableError: TensorRT refuses the engine, or CUDA fails.
    """

    def __init__(self, trt: Any, plan: bytes, cuda: Cuda) -> None:
        self._trt, self._cuda, self._lock = trt, cuda, threading.Lock()
        open_log(trt).take_errors()
        cuda.make_current()
        self._runtime = trt.Runtime(open_log(trt))  # must outlive the engine
        engine = self._runtime.deserialize_cuda_engine(plan)
        context = None if engine is None else engine.create_execution_context()
        if engine is None or context is None:
            raise failed(trt, "the engine can't be opened", AGAIN)
        self._engine, self._context = engine, context
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        (self._input,) = (n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT)
        (output,) = (n for n in names if n != self._input)
        _, _, largest = engine.get_tensor_profile_shape(self._input, 0)
        shape = tuple(map(int, tuple(largest)))
        self._rows, self._element = shape[0], np.dtype(ELEMENTS[self._input])
        given = self._element.itemsize * int(np.prod(shape, dtype=np.int64))
        self._columns = tuple(map(int, tuple(engine.get_tensor_shape(output))[1:]))  # (K,), or () for values [N]
        row_bytes = 4 * int(np.prod(self._columns, dtype=np.int64))
        self._in, self._out = cuda.allocate(given), cuda.allocate(self._rows * row_bytes)
        context.set_tensor_address(self._input, self._in.address)
        context.set_tensor_address(output, self._out.address)

    def __call__(self, given: NDArray[Any]) -> Floats:
        """Outputs of encoded rows (N, D), token ids (N, L) or pictures (N, S, S, 3)."""
        outputs = np.empty((len(given), *self._columns), np.float32)
        with self._lock:
            self._cuda.make_current()
            for start in range(0, len(given), self._rows):
                rows = np.ascontiguousarray(given[start : start + self._rows], self._element)
                self._run(rows, outputs[start : start + self._rows])
        return outputs

    def _run(self, rows: NDArray[Any], outputs: Floats) -> None:
        self._context.set_input_shape(self._input, rows.shape)
        self._cuda.upload(self._in, rows)
        if not self._context.execute_async_v3(self._cuda.stream):
            raise failed(self._trt, "the engine failed to run", AGAIN)
        self._cuda.download(outputs, self._out)
        self._cuda.synchronize()
