"""The tabular template in several sizes, and what each costs on a device."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from modelgpt_edge.architecture.cost import Columns, Cost, estimate, file_bytes, macs
from modelgpt_edge.limits import Limits
from modelgpt_edge.parameters.units import DRAW
from modelgpt_edge.targets.target import Target

# Hidden units, from the most accurate down; 0 is the plain linear model.
SIZES = (2560, 1280, 640, 320, 160, 80, 40, 20, 0)


@dataclass(frozen=True)
class Architecture:
    """A template and its sizes.

    Attributes:
        template: ``mlp`` (encoder, one layer of hidden units, linear head).
        units: hidden units.
        draws: of 640 units each, that they are distilled from; none for the plain linear model.
        bytes: estimated size of the artefact in fp32.
        macs: multiply-accumulates of one row.
    """

    template: str
    units: int
    draws: int
    bytes: int
    macs: int


@dataclass(frozen=True)
class Size:
    """A size that the template could have.

    Attributes:
        costs: estimated, by target; over: which limits it breaks, in words, "" where it fits.
    """

    architecture: Architecture
    costs: dict[str, Cost]
    over: str

    @property
    def fits(self) -> bool:
        """Whether it breaks no limit."""
        return not self.over

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        costs = {target: asdict(cost) for target, cost in self.costs.items()}
        return {**asdict(self.architecture), "fits": self.fits, "over": self.over, "costs": costs}


def list_sizes(columns: Columns, outputs: int, draws: int, targets: tuple[Target, ...], limits: Limits) -> list[Size]:
    """Every size of the template for a table, the most accurate first, and what it costs each target.

    Args:
        columns: what the table's encoder makes of it.
        outputs: classes, or 1 value.
        draws: that the model is distilled from: it has no more units than they.
        limits: of the task; a target's own are tighter where they are.
    """
    sizes = []
    for units in SIZES:
        if units > draws * DRAW.total:
            continue
        size, work = file_bytes(columns, outputs, units), macs(columns, outputs, units)
        architecture = Architecture("mlp", units, draws if units else 0, size, work)
        costs = {t.name: estimate(columns, outputs, units, t) for t in targets}
        broken = [_over(costs[t.name], limits.within(t.flash_bytes, t.ram_bytes), t.name) for t in targets]
        sizes.append(Size(architecture, costs, "; ".join(filter(None, broken))))
    return sizes


def _over(cost: Cost, limits: Limits, target: str) -> str:
    """Which limits a cost breaks, in words."""
    parts = []
    if limits.flash_bytes is not None and cost.flash_bytes > limits.flash_bytes:
        parts.append(f"about {cost.flash_bytes:,} bytes of flash, {limits.flash_bytes:,} allowed")
    if limits.ram_bytes is not None and cost.ram_bytes > limits.ram_bytes:
        parts.append(f"about {cost.ram_bytes:,} bytes of RAM, {limits.ram_bytes:,} allowed")
    if limits.latency_ms is not None and cost.latency_us is not None and cost.latency_us > 1000 * limits.latency_ms:
        parts.append(f"about {cost.latency_us / 1000:.3g} ms, {limits.latency_ms:g} ms allowed")
    return f"{target}: {' and '.join(parts)}" if parts else ""
