"""What this GPU can do at the most: measured by a device copy and large products, and what its data sheet says."""

from __future__ import annotations

from dataclasses import dataclass

import torch  # noqa: TID251 - operands are torch tensors

from modelgpt_edge.kernels.bench.cases import Case
from modelgpt_edge.kernels.bench.timing import Stopwatch, repeat

COPY_BYTES = 1 << 30
PRODUCT = 8192
BUDGET = 0.2


@dataclass(frozen=True)
class Roofs:
    """Bytes and floating-point operations a second.

    Attributes:
        copy: read and written by a copy of 1 GiB.
        half: of a product of 8,192^2 matrices of float16, summed in float32; bfloat16 is as fast.
        tf32: of the same of float32 whose products keep ten bits. Kernels take three of those for one of float32.
    """

    copy: float
    half: float
    tf32: float

    def flops(self, case: Case) -> float:
        """What products of a case's type can reach."""
        return self.tf32 / 3 if case.held == "fp32" else self.half

    def seconds(self, case: Case) -> float:
        """The least that a case can take: its traffic or its arithmetic, whichever takes longer."""
        return max(case.moved_bytes / self.copy, case.flops / self.flops(case))

    def bound(self, case: Case) -> str:
        """Which of the two that is."""
        return "memory" if case.moved_bytes / self.copy >= case.flops / self.flops(case) else "arithmetic"


# NVIDIA's data sheets, without sparsity, by the name that the driver tells.
SHEETS = {
    "A100-SXM4-40GB": Roofs(1555e9, 312e12, 156e12),
    "A100-SXM4-80GB": Roofs(2039e9, 312e12, 156e12),
    "A100 80GB PCIe": Roofs(1935e9, 312e12, 156e12),
    "H100 PCIe": Roofs(2000e9, 756e12, 378e12),
    "H100 80GB HBM3": Roofs(3350e9, 989e12, 494e12),
    "H200": Roofs(4800e9, 989e12, 494e12),
    "B200": Roofs(8000e9, 2250e12, 1125e12),
}


def sheet(device: str) -> Roofs | None:
    """What the data sheet says of a GPU of this name; None for one that isn't listed."""
    return next((roofs for name, roofs in SHEETS.items() if name in device), None)


def measure_roofs(watch: Stopwatch, place: torch.device) -> Roofs:
    """Copy and multiply on the device."""
    copy, half = _copy(watch, place), _product(watch, place, torch.float16)
    torch.set_float32_matmul_precision("high")
    try:
        tf32 = _product(watch, place, torch.float32)
    finally:
        # What the baselines are timed with: products of float32 as exact as float32.
        torch.set_float32_matmul_precision("highest")
    return Roofs(copy, half, tf32)


def _copy(watch: Stopwatch, place: torch.device) -> float:
    source = torch.zeros(COPY_BYTES, dtype=torch.int8, device=place)
    target = torch.empty_like(source)
    return 2 * COPY_BYTES / repeat(lambda: watch.span(lambda: target.copy_(source), 0.0), BUDGET).median


def _product(watch: Stopwatch, place: torch.device, kind: torch.dtype) -> float:
    a, b = (torch.randn(PRODUCT, PRODUCT, dtype=kind, device=place) for _ in range(2))
    out = torch.empty_like(a)
    return 2 * PRODUCT**3 / repeat(lambda: watch.span(lambda: torch.mm(a, b, out=out), 0.0), BUDGET).median
