"""The numeric gate: every hop from the emitted weights to the artefact is held against the fp32 reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from modelgpt_edge.child import Floats
from modelgpt_edge.errors import GateError

# Float32 steps that rounding alone may take a value off: sums of a thousand terms round differently in each runtime.
STEPS = 8


@dataclass(frozen=True)
class Tolerance:
    """Limits of a precision.

    Attributes:
        max_abs: largest difference of a probability; of a value, in deviations of the label.
        relative_rms: root mean square of the difference over that of the reference.
        agreement: least share of golden rows with the reference's label, near ties left out.
    """

    max_abs: float
    relative_rms: float
    agreement: float


TOLERANCES: Mapping[str, Tolerance] = MappingProxyType(
    {
        "fp32": Tolerance(max_abs=1e-4, relative_rms=1e-5, agreement=1.0),
        "fp16": Tolerance(max_abs=2e-2, relative_rms=5e-3, agreement=1.0),
        "int8": Tolerance(max_abs=2e-1, relative_rms=5e-2, agreement=0.98),
        "int8-dynamic": Tolerance(max_abs=2e-1, relative_rms=5e-2, agreement=0.98),
        # Six layers and more hand their rounding on; what it does to labels is what counts, and is measured beside it.
        "int8 tokens": Tolerance(max_abs=2e-1, relative_rms=1e-1, agreement=0.98),
        "int8-dynamic tokens": Tolerance(max_abs=2e-1, relative_rms=1e-1, agreement=0.98),
        "int8 pixels": Tolerance(max_abs=2e-1, relative_rms=1e-1, agreement=0.98),
        "fp16 pixels": Tolerance(max_abs=2e-2, relative_rms=1e-2, agreement=1.0),
    }
)


def tolerance_of(precision: str, front: str) -> str:
    """Name of the tolerance profile of a compiled form: its precision, and for a deep net in few bits its front as well."""
    name = f"{precision} {front}"
    return name if name in TOLERANCES else precision


@dataclass(frozen=True)
class Hop:
    """What one hop measured on the golden rows.

    Attributes:
        name: where in the line, such as ``onnx`` or ``x86 onnxruntime int8``.
        tolerance: name of the tolerance profile.
        rows: golden rows compared.
        bad: outputs that are NaN or infinite.
        max_abs, relative_rms: see `Tolerance`; None where an output is bad.
        sqnr_db: signal to quantisation noise ratio in decibels; None where nothing differs.
        agreement: share of rows with the reference's label; None for regression.
        failure: what broke the tolerance; "" where the hop passed.
    """

    name: str
    tolerance: str
    rows: int
    bad: int
    max_abs: float | None
    relative_rms: float | None
    sqnr_db: float | None
    agreement: float | None
    failure: str

    @property
    def passed(self) -> bool:
        """Whether the hop stayed inside its tolerance."""
        return not self.failure

    def to_json(self) -> dict[str, Any]:
        """The hop as JSON values."""
        return {**asdict(self), "passed": self.passed}

    def line(self, unit: str = "row") -> str:
        """One friendly line: matched, or by how much not.

        Args:
            unit: what was compared: a row, a text or a picture.
        """
        if self.bad:
            return f"{self.name}: {self.bad} outputs are NaN or infinite"
        if self.max_abs is None:
            return f"{self.name}: FAILED ({self.failure})"
        labels = "" if self.agreement is None else f", labels agree on {self.agreement:.1%} of {self.rows} {unit}s"
        verdict = "matches" if self.passed else f"FAILED ({self.failure})"
        limit = TOLERANCES[self.tolerance].max_abs
        return f"{self.name}: {verdict}, max difference {self.max_abs:.1e} (tolerance {limit:.0e}){labels}"


def compare(name: str, reference: Floats, got: Floats, tolerance: str, unit: float | None = None) -> Hop:
    """Compare outputs (N, K), or (N, 1) values, with the reference's.

    Args:
        unit: what a difference of values is measured in, such as the label's deviation; the reference's deviation where
            not given. Differences of a few float32 steps at the values' size pass whatever the unit.
    """
    limits = TOLERANCES[tolerance]
    rows = len(reference)
    if got.shape != reference.shape:
        failure = f"shape {got.shape}, expected {reference.shape}"
        return Hop(name, tolerance, rows, 0, None, None, None, None, failure)
    bad = int((~np.isfinite(got)).sum())
    if bad:
        return Hop(name, tolerance, rows, bad, None, None, None, None, f"{bad} outputs are NaN or infinite")
    truth, seen = reference.astype(np.float64), got.astype(np.float64)
    classification = reference.shape[1] > 1
    unit = 1.0 if classification else unit or float(truth.std()) or 1.0
    difference = seen - truth
    max_abs = float(np.abs(difference).max(initial=0)) / unit
    step = 0.0 if classification else STEPS * float(np.spacing(np.abs(reference).max(initial=0))) / unit
    power = max(float((truth**2).mean()), 0.0 if classification else unit**2) or 1.0
    noise = float((difference**2).mean())
    relative = float(np.sqrt(noise / power))
    agreement = _agreement(truth, seen, limits.max_abs) if classification else None
    failures = []
    if max_abs > limits.max_abs + step:
        failures.append(f"max difference {max_abs:.2e} > {limits.max_abs:.0e}")
    if relative > limits.relative_rms:
        failures.append(f"relative RMS {relative:.2e} > {limits.relative_rms:.0e}")
    if agreement is not None and agreement < limits.agreement:
        failures.append(f"labels agree on {agreement:.2%} < {limits.agreement:.0%}")
    sqnr = float(10 * np.log10(power / noise)) if noise else None
    return Hop(name, tolerance, rows, 0, max_abs, relative, sqnr, agreement, "; ".join(failures))


def _agreement(truth: np.ndarray, seen: np.ndarray, tie: float) -> float:
    """Share of rows with equal label; a row whose two best references lie within the tolerance has no label to lose."""
    best = np.sort(truth, axis=1)
    clear = best[:, -1] - best[:, -2] > tie
    if not clear.any():
        return 1.0
    return float((truth.argmax(1) == seen.argmax(1))[clear].mean())


def require(hops: list[Hop]) -> None:
    """GateError that names the first hop that failed."""
    for hop in hops:
        if not hop.passed:
            raise GateError(
                f"the numeric gate failed at hop {hop.name!r}: {hop.failure}",
                where="gate",
                cure="Nothing was written. Please report the table's shape and this message.",
            )
