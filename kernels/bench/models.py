"""Models a second, end to end: what is asked for, and what came of it. Who measures it is handed in, for it takes a server.

The server's launches are measured by `modelgpt_edge.server.measuring`; nothing of the server comes in here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from modelgpt_edge.kernels import shapes

TABLE = shapes.TABLES[0]
# Hidden units asked for: about as many as the table's, which are distilled from a draw of 640, and that draw itself.
DISTILLED, DRAWN = 260, 640


@dataclass(frozen=True)
class Served:
    """Models of one size.

    Attributes:
        units: hidden units.
        models: made in so many `seconds`, `batch` a launch.
        processes: workers.
    """

    units: int
    models: int
    seconds: float
    batch: int
    processes: int

    @property
    def rate(self) -> float:
        """Models a second."""
        return self.models / self.seconds

    @property
    def words(self) -> str:
        """What is asked for, for people."""
        return request(self.units)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "request": self.words, "models_per_second": self.rate}


def request(units: int) -> str:
    """A request, for people."""
    how = "distilled" if units == DISTILLED else "as drawn"
    return f"{TABLE.rows} rows x {TABLE.columns} columns, {units} units {how}"
