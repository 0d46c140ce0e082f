"""The tabular template in several sizes, what each costs, and the largest that fits."""

from __future__ import annotations

from dataclasses import dataclass

from modelgpt_edge.errors import BudgetError
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.schema import Schema

# Hidden units of a draw, and draws, from the most accurate down; (0, 0) is the plain linear model.
SIZES = ((640, 4), (640, 2), (640, 1), (320, 1), (160, 1), (80, 1), (40, 1), (20, 1), (0, 0))
# A file's graph, names and alignment, beside its weights.
OVERHEAD_BYTES = 5_000


@dataclass(frozen=True)
class Architecture:
    """A template and its sizes.

    Attributes:
        template: ``mlp`` (encoder, one layer of hidden units, linear head).
        units: hidden units of one draw.
        draws: draws merged into one network.
        bytes: estimated size of the artefact in fp32.
    """

    template: str
    units: int
    draws: int
    bytes: int


def candidates(schema: Schema, encoded: int, most_draws: int) -> list[Architecture]:
    """Every size of the template for a table of so many encoded columns, the most accurate first."""
    sizes = [(units, draws) for units, draws in SIZES if draws <= most_draws]
    return [Architecture("mlp", units, draws, estimate_bytes(schema, encoded, units, draws)) for units, draws in sizes]


def choose_architecture(requirement: Requirement, encoded: int, most_draws: int) -> Architecture:
    """The largest size that fits the flash limit of the requirement; the first one without a limit.

    Args:
        encoded: columns that the table's encoder makes of it.

    Raises:
        BudgetError: nothing fits; names the smallest candidate.
    """
    limit = requirement.limits.flash_bytes
    sizes = candidates(requirement.schema, encoded, most_draws)
    fitting = [a for a in sizes if limit is None or a.bytes <= limit]
    if not fitting:
        smallest = sizes[-1]
        raise BudgetError(
            "no model fits the flash budget",
            where="budget",
            seen=f"{limit} bytes",
            cure=f"The smallest for this table takes about {smallest.bytes:,} bytes: raise the limit or drop columns.",
        )
    return fitting[0]


def estimate_bytes(schema: Schema, encoded: int, units: int, draws: int) -> int:
    """Estimated size in fp32: encoder tables, units (two fifths dense, the rest three columns each) and head."""
    outputs = max(1, len(schema.classes))
    total = units * draws
    dense = 0.4 * total
    numbers = 70 * len(schema.numbers) + dense * (encoded + 1) + (total - dense) * 12 + (encoded + total + 1) * outputs
    return OVERHEAD_BYTES + 4 * round(numbers)
