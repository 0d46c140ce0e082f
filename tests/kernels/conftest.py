"""What the kernels' tests share: Triton's interpreter where there is no GPU, poisoned buffers, one table of tolerances.

On a GPU the same tests run compiled, and those marked `gpu` at full size besides.
"""

from __future__ import annotations

import math
import os
from typing import NamedTuple

import numpy as np
import pytest
import torch  # noqa: TID251 - operands are torch tensors

# Read when Triton is imported, for functions of its own.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

from modelgpt_edge.kernels.launch import INTERPRETED
from modelgpt_edge.kernels.ragged import Ragged

# Half the distance between neighbouring numbers, relative; the interpreter cuts a bfloat16 off where a GPU rounds it.
ROUNDING = {torch.float32: 2**-24, torch.float16: 2**-11, torch.bfloat16: 2**-7 if INTERPRETED else 2**-8}


class Tolerance(NamedTuple):
    """Of errors relative to the reference: root mean square to root mean square, largest to largest."""

    rms: float
    largest: float


def _tolerance(kind: torch.dtype, length: int) -> Tolerance:
    """What rounding to a type after a float32 sum of `length` products may cost.

    A product of three tf32 ones is off by up to twelve roundings of float32, typically by few; sums grow like a random walk.
    """
    summed = 2**-24 * (8 + math.sqrt(length))
    return Tolerance(ROUNDING[kind] + summed, 2 * ROUNDING[kind] + 4 * summed)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("gpu") and INTERPRETED:
            item.add_marker(pytest.mark.skip(reason="full size needs a GPU, and torch.cuda sees none"))


@pytest.fixture
def place() -> torch.device:
    return torch.device("cpu" if INTERPRETED else "cuda")


@pytest.fixture(autouse=True)
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """New buffers hold NaN, or -128, which no code is: a cell that isn't written shows."""
    empty = torch.empty

    def poisoned_empty(*size, **options):
        made = empty(*size, **options)
        return made.fill_(math.nan if made.is_floating_point() else -128)

    monkeypatch.setattr(torch, "empty", poisoned_empty)


@pytest.fixture(scope="session")
def assert_close():
    """Holds a tensor against a float64 reference by the tolerance of its type and the length of its sums."""

    def check(got: torch.Tensor, wanted: torch.Tensor, length: int, kind: torch.dtype | None = None) -> None:
        assert got.shape == wanted.shape
        if not got.numel():
            return
        limit = _tolerance(kind or got.dtype, length)
        wanted = wanted.to(got.device)
        error = (got.double() - wanted).abs()
        rms = (error.pow(2).mean() / wanted.pow(2).mean()).sqrt().item()
        largest = (error.max() / wanted.abs().max()).item()
        assert rms <= limit.rms, f"relative RMS {rms:.3g}, limit {limit.rms:.3g}"
        assert largest <= limit.largest, f"largest {largest:.3g}, limit {limit.largest:.3g}"

    return check


@pytest.fixture(scope="session")
def assert_codes():
    """Holds int8 weights against a float64 reference: half a step from it, and the step that of the largest of its channel."""

    def check(codes: torch.Tensor, steps: torch.Tensor, wanted: torch.Tensor, length: int) -> None:
        assert codes.shape == wanted.shape
        assert steps.shape == (1, wanted.shape[1])
        wanted = wanted.to(codes.device)
        largest = wanted.abs().amax(0) if len(wanted) else torch.zeros_like(steps[0], dtype=torch.float64)
        slack = 4 * 2**-24 * (8 + math.sqrt(length))
        scale = float(largest.clamp(min=1e-9).max()) if largest.numel() else 1.0
        assert ((steps[0].double() * 127 - largest.clamp(min=1e-9)).abs() <= slack * scale).all()
        assert (codes.abs() <= 127).all()
        assert ((codes.double() * steps.double() - wanted).abs() <= 0.5 * steps.double() + slack * scale).all()

    return check


@pytest.fixture(scope="session")
def draw():
    """Draws ragged normal matrices of the sizes given, as a type would round them."""

    def matrices(shapes, kind: torch.dtype, place: torch.device, seed: int = 0) -> Ragged:
        rng = np.random.default_rng(seed)
        made = [torch.from_numpy(rng.normal(size=shape)).to(kind).to(place) for shape in shapes]
        return Ragged.of(made)

    return matrices


@pytest.fixture(scope="session")
def exact():
    """The same matrices in float64 on the CPU."""

    def widened(ragged: Ragged) -> Ragged:
        return Ragged(ragged.data.double().cpu(), ragged.offset, ragged.rows, ragged.columns)

    return widened
