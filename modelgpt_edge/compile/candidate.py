"""A compiled form of a child and what it measured: the rows of the table that a build shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Child, Floats, Ints
from modelgpt_edge.data.table import Rows
from modelgpt_edge.gate import Hop

ROWS = 2_000
# Where nobody labelled the rows, those count whose likeliest class is so many times as likely as the next: nearer than that
# there is no label to lose. An encoder in int8 moves the odds of texts far from its training about as much.
CLEAR = 2.0


@dataclass(frozen=True)
class Probe:
    """Rows that candidates are measured on: packed inputs, the reference's outputs and the labels.

    Attributes:
        labelled: whether the labels are the user's; if not they are what the reference says, and tell nothing of accuracy.
    """

    numbers: Floats
    codes: Ints
    encoded: Floats
    outputs: Floats
    labels: NDArray[Any]
    labelled: bool = True

    @staticmethod
    def of(child: Child, rows: Rows) -> Probe:
        """The first 2,000 rows."""
        rows = rows.take(slice(ROWS))
        numbers, codes = child.encoder.pack(rows.numbers, rows.words, len(rows))
        encoded = child.encoder.encode(numbers, codes)
        return Probe(numbers, codes, encoded, child.outputs(encoded), rows.labels)

    def first(self, rows: int) -> Probe:
        """The first rows of these."""
        return Probe(
            self.numbers[:rows],
            self.codes[:rows],
            self.encoded[:rows],
            self.outputs[:rows],
            self.labels[:rows],
            self.labelled,
        )

    def agreement(self, outputs: Floats) -> float | None:
        """Share of these rows with the reference's label; of clear ones where nobody labelled them.

        None for values, and where no row counts.
        """
        if self.outputs.shape[1] < 2:
            return None
        best = np.sort(self.outputs, axis=1)
        counted = best[:, -1] >= (1.0 if self.labelled else CLEAR) * best[:, -2]
        same = outputs.argmax(1) == self.outputs.argmax(1)
        return float(same[counted].mean()) if counted.any() else None

    def accuracy(self, outputs: Floats) -> float | None:
        """Share of these rows whose class is right, or R squared of values; None where nobody labelled them."""
        if not self.labelled:
            return None
        if outputs.shape[1] > 1:
            return float((outputs.argmax(1) == self.labels).mean())
        spread = float(((self.labels - self.labels.mean()) ** 2).sum()) or 1.0
        return 1 - float(((outputs[:, 0] - self.labels) ** 2).sum()) / spread


@dataclass(frozen=True)
class Candidate:
    """A compiled form and what it measured.

    Attributes:
        front: what goes in: see `targets.backend.Artefact`.
        checked: how near to the device it ran, of `targets.target.CHECKED`; note: why no nearer.
        files: contents by file name.
        facts: what the backend measured, such as ``flash_bytes``; profile: of one row, where that counts.
        training_accuracy: on the table's own rows, or R squared for regression; loss: how much less than the reference's.
            None where nobody labelled the rows.
        agreement: as `Probe.agreement` has it. All three None where it never ran.
        hop: the numeric gate's verdict; None where it never ran.
        kept: whether it is in the package, and why, in `because`.
    """

    target: str
    backend: str
    precision: str
    front: str
    checked: str
    note: str
    files: Mapping[str, bytes]
    facts: Mapping[str, Any]
    profile: Mapping[str, Any]
    training_accuracy: float | None
    loss: float | None
    agreement: float | None
    hop: Hop | None
    kept: bool = True
    because: str = ""

    @property
    def path(self) -> str:
        """Its folder in a package."""
        return f"variants/{self.target}-{self.backend}-{self.precision}"

    @property
    def bytes(self) -> int:
        """What it takes on the device: of its folder, or of flash where its files are source code."""
        return int(self.facts.get("flash_bytes", sum(map(len, self.files.values()))))

    @property
    def latency_us(self) -> float | None:
        """Median microseconds of one row; None where it can't be told from here."""
        return self.profile.get("p50_us")

    @property
    def cost(self) -> float | None:
        """What one row costs: microseconds, or instructions in an emulator that counts them; None where neither is known."""
        return self.profile.get("p50_us", self.profile.get("instructions_per_row"))

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against its numbers."""
        return self.hop is None or self.hop.passed

    def to_json(self) -> dict[str, Any]:
        """The measurements as JSON values."""
        names = ("target", "backend", "precision", "bytes", "latency_us", "training_accuracy", "loss", "agreement")
        return {
            **{name: getattr(self, name) for name in names},
            "status": self.checked,
            "note": self.note,
            **self.facts,
            "profile": dict(self.profile),
            "kept": self.kept,
            "because": self.because,
            "relative_rms": None if self.hop is None else self.hop.relative_rms,
        }
