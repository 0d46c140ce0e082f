"""A FAKE of CUDA's driver library for control flow: device memory is memory of this process, a copy is a memmove.

It takes the same ctypes arguments as libcuda, so the marshalling is tested; nothing runs on a GPU, and it measures nothing.
"""

from __future__ import annotations

import ctypes
from typing import Any


class FakeLibcuda:
    """Stands in for ``ctypes.CDLL("libcuda.so.1")``; set the attributes for another board."""

    def __init__(self, sm: tuple[int, int] = (8, 7), driver: int = 12060, memory: int = 8 << 30, devices: int = 1) -> None:
        self.sm, self.driver, self.memory, self.devices = sm, driver, memory, devices
        self.allocations: dict[int, Any] = {}
        self.fail: dict[str, int] = {}
        self.calls: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if not name.startswith("cu") or name == "cuGetErrorString":
            return found

        def call(*arguments: Any) -> int:
            self.calls.append(name)
            return self.fail.get(name) or found(*arguments) or 0

        return call

    def cuGetErrorString(self, code: Any, text: Any) -> int:  # noqa: N802
        text._obj.value = f"fake error text of {code.value}".encode()
        return 0

    def cuInit(self, flags: Any) -> None: ...  # noqa: N802

    def cuDriverGetVersion(self, version: Any) -> None:  # noqa: N802
        version._obj.value = self.driver

    def cuDeviceGetCount(self, count: Any) -> None:  # noqa: N802
        count._obj.value = self.devices

    def cuDeviceGet(self, device: Any, ordinal: Any) -> None:  # noqa: N802
        device._obj.value = ordinal.value

    def cuDeviceGetAttribute(self, value: Any, which: Any, device: Any) -> None:  # noqa: N802
        value._obj.value = {75: self.sm[0], 76: self.sm[1]}[which.value]

    def cuDeviceGetName(self, name: Any, size: Any, device: Any) -> None:  # noqa: N802
        assert size.value == len(name)
        name.value = b"Orin"

    def cuDeviceTotalMem_v2(self, size: Any, device: Any) -> None:  # noqa: N802
        size._obj.value = self.memory

    def cuDevicePrimaryCtxRetain(self, context: Any, device: Any) -> None:  # noqa: N802
        context._obj.value = 0xC0

    def cuCtxSetCurrent(self, context: Any) -> None:  # noqa: N802
        assert context.value == 0xC0

    def cuStreamCreate(self, stream: Any, flags: Any) -> None:  # noqa: N802
        assert flags.value == 1, "TensorRT warns of a blocking stream"
        stream._obj.value = 0x57

    def cuStreamSynchronize(self, stream: Any) -> None:  # noqa: N802
        assert stream.value == 0x57

    def cuMemAlloc_v2(self, pointer: Any, size: Any) -> None:  # noqa: N802
        memory = ctypes.create_string_buffer(size.value)
        pointer._obj.value = ctypes.addressof(memory)
        self.allocations[pointer._obj.value] = memory

    def cuMemFree_v2(self, pointer: Any) -> None:  # noqa: N802
        del self.allocations[pointer.value]

    def cuMemcpyHtoDAsync_v2(self, goal: Any, source: Any, size: Any, stream: Any) -> None:  # noqa: N802
        assert stream.value == 0x57
        assert size.value <= len(self.allocations[goal.value])
        ctypes.memmove(goal.value, source.value, size.value)

    def cuMemcpyDtoHAsync_v2(self, goal: Any, source: Any, size: Any, stream: Any) -> None:  # noqa: N802
        assert stream.value == 0x57
        assert size.value <= len(self.allocations[source.value])
        ctypes.memmove(goal.value, source.value, size.value)
