"""What the kernels' tests share: Triton's interpreter where there is no GPU, poisoned buffers, the bench's tolerances.

On a GPU the same tests run compiled, and those marked `gpu` at full size besides.
"""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
import torch  # noqa: TID251 - operands are torch tensors

# Read when Triton is imported, for functions of its own.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

from modelgpt_edge.kernels.bench.numerics import code_fault, float_fault
from modelgpt_edge.kernels.launch import INTERPRETED
from modelgpt_edge.kernels.ragged import Ragged


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
        assert float_fault(got, wanted.to(got.device), length, kind or got.dtype) == ""

    return check


@pytest.fixture(scope="session")
def assert_codes():
    """Holds int8 weights against a float64 reference: half a step from it, and the step that of the largest of its channel."""

    def check(codes: torch.Tensor, steps: torch.Tensor, wanted: torch.Tensor, length: int) -> None:
        assert code_fault(codes, steps, wanted.to(codes.device), length) == ""

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
