"""CUDA's driver through ctypes, as it comes with JetPack and with every PC's driver: device facts, memory, one stream.

Only the dozen calls that running an engine needs, so that no Python package of CUDA has to be on the board.
"""

from __future__ import annotations

import ctypes
import sys
import weakref
from typing import Any

from numpy.typing import NDArray

from modelgpt_edge.errors import TargetUnavailableError

DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
MAJOR, MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR
NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: TensorRT warns of the default stream
NO_DRIVER = "Install the NVIDIA driver (a Jetson has it by JetPack); in a container start with --runtime nvidia."

Host = NDArray[Any]


class Cuda:
    """The first CUDA device, its primary context and a stream.

    Attributes:
        sm: its architecture, such as ``sm_87``.
        name: its name by the driver.
        memory_bytes: its memory; on a Jetson the board's, shared.
        driver_version: CUDA version of the driver, such as ``12.6``.
        stream: handle for `execute_async_v3`.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        self._call("cuInit", ctypes.c_uint(0))
        version, device, count = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        self._call("cuDriverGetVersion", ctypes.byref(version))
        self.driver_version = dotted(version.value)
        self._call("cuDeviceGetCount", ctypes.byref(count))
        if not count.value:
            raise TargetUnavailableError("the driver sees no CUDA device", where="CUDA", cure=NO_DRIVER)
        self._call("cuDeviceGet", ctypes.byref(device), ctypes.c_int(0))
        self.sm = f"sm_{self._attribute(MAJOR, device)}{self._attribute(MINOR, device)}"
        name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
        self._call("cuDeviceGetName", name, ctypes.c_int(len(name)), device)
        self._call("cuDeviceTotalMem_v2", ctypes.byref(memory), device)
        self.name, self.memory_bytes = name.value.decode(errors="replace"), int(memory.value)
        self._context, stream = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), device)
        self.make_current()
        self._call("cuStreamCreate", ctypes.byref(stream), ctypes.c_uint(NON_BLOCKING))
        self.stream = int(stream.value or 0)

    def make_current(self) -> None:
        """Bind the device to the calling thread, as any thread must before it uses the rest."""
        self._call("cuCtxSetCurrent", self._context)

    def allocate(self, size: int) -> Memory:
        """Device memory of so many bytes, freed with the object."""
        pointer = ctypes.c_uint64()
        self._call("cuMemAlloc_v2", ctypes.byref(pointer), ctypes.c_size_t(size))
        return Memory(self, int(pointer.value), size)

    def upload(self, memory: Memory, values: Host) -> None:
        """Copy a contiguous array to the device, in the stream; keep the array until `synchronize`."""
        source, size = ctypes.c_void_p(values.ctypes.data), ctypes.c_size_t(values.nbytes)
        self._call("cuMemcpyHtoDAsync_v2", ctypes.c_uint64(memory.address), source, size, ctypes.c_void_p(self.stream))

    def download(self, values: Host, memory: Memory) -> None:
        """Fill a contiguous array from the device, in the stream; it is complete after `synchronize`."""
        goal, size = ctypes.c_void_p(values.ctypes.data), ctypes.c_size_t(values.nbytes)
        self._call("cuMemcpyDtoHAsync_v2", goal, ctypes.c_uint64(memory.address), size, ctypes.c_void_p(self.stream))

    def synchronize(self) -> None:
        """Wait until the stream is done."""
        self._call("cuStreamSynchronize", ctypes.c_void_p(self.stream))

    def free(self, address: int) -> None:
        """Give memory back; called by `Memory`, from any thread."""
        self.make_current()
        self._call("cuMemFree_v2", ctypes.c_uint64(address))

    def _attribute(self, which: int, device: ctypes.c_int) -> int:
        value = ctypes.c_int()
        self._call("cuDeviceGetAttribute", ctypes.byref(value), ctypes.c_int(which), device)
        return value.value

    def _call(self, name: str, *arguments: Any) -> None:
        code = getattr(self._library, name)(*arguments)
        if code:
            text = ctypes.c_char_p()
            self._library.cuGetErrorString(ctypes.c_int(code), ctypes.byref(text))
            said = (text.value or b"unknown error").decode(errors="replace")
            raise TargetUnavailableError(f"{name} failed: {said} (error {code})", where="CUDA", cure=_cure(name))


class Memory:
    """A piece of device memory; `address` is its pointer."""

    def __init__(self, cuda: Cuda, address: int, size: int) -> None:
        self.address, self.size = address, size
        # Not at exit: the driver may be gone by then, and takes all back itself.
        weakref.finalize(self, cuda.free, address).atexit = False


def open_cuda() -> Cuda:
    """The first CUDA device.

    Raises:
        TargetUnavailableError: there is no driver or no device.
    """
    return Cuda(load_driver())


def load_driver() -> Any:
    """The driver's library; TargetUnavailableError where there is none."""
    try:
        return ctypes.CDLL(DRIVER)
    except OSError as error:
        raise TargetUnavailableError(f"there is no CUDA driver here ({DRIVER})", where="CUDA", cure=NO_DRIVER) from error


def dotted(version: int) -> str:
    """CUDA's way to write a version as a number, 12060, as ``12.6``."""
    return f"{version // 1000}.{version % 1000 // 10}"


def _cure(name: str) -> str:
    return "Close what else uses the GPU's memory." if name.startswith("cuMem") else NO_DRIVER
