"""The frontier: every size of the model, what it costs, what it scores, and which one was taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelgpt_edge.architecture.architecture import Architecture, Size
from modelgpt_edge.parameters.widths import Scored


@dataclass(frozen=True)
class Point:
    """A size on the frontier; `scored` is None where nothing was generated."""

    size: Size
    scored: Scored | None
    chosen: bool

    def to_json(self) -> dict[str, Any]:
        """As JSON values; the score is on rows that are the same for every size."""
        score = None if self.scored is None else self.scored.score
        values: dict[str, Any] = {"metric": None, "score": None, "low": None, "high": None, "loss": None}
        if score is not None and self.scored is not None:
            loss = float(self.scored.losses.mean())
            values = {"metric": score.metric, "score": score.value, "low": score.low, "high": score.high, "loss": loss}
        return {**self.size.to_json(), **values, "chosen": self.chosen}


def make_frontier(sizes: list[Size], scored: Mapping[tuple[int, int], Scored], chosen: Architecture | None) -> list[Point]:
    """Points for every size, the largest first; several draws that were not scored have the score of one."""

    def score(a: Architecture) -> Scored | None:
        return scored.get(a.width) or scored.get((a.units, min(1, a.draws)))

    return [Point(s, score(s.architecture), s.architecture == chosen) for s in sizes]
