"""The frontier: every size of the model, what it costs, what it scores, and which one was taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelgpt_edge.architecture.architecture import Architecture, Size
from modelgpt_edge.parameters.score import Score
from modelgpt_edge.parameters.widths import Scored


@dataclass(frozen=True)
class Point:
    """A size on the frontier.

    Attributes:
        scored: on rows that are the same for every size that was; None for one that wasn't.
        own: the model's own score, for a chosen size that wasn't scored among the others.
    """

    size: Size
    scored: Scored | None
    chosen: bool
    own: Score | None = None

    @property
    def score(self) -> Score | None:
        """What is known of its accuracy."""
        return self.own if self.scored is None else self.scored.score

    def to_json(self) -> dict[str, Any]:
        """As JSON values; only losses may be compared, as they are of the same rows."""
        score, values = self.score, dict[str, Any].fromkeys(("metric", "score", "low", "high", "loss"))
        if score is not None:
            loss = None if self.scored is None else float(self.scored.losses.mean())
            values = {"metric": score.metric, "score": score.value, "low": score.low, "high": score.high, "loss": loss}
        return {**self.size.to_json(), **values, "chosen": self.chosen}


def make_frontier(
    sizes: list[Size], scored: Mapping[int, Scored], chosen: Architecture | None, own: Score | None = None
) -> list[Point]:
    """Points for every size, the largest first.

    Args:
        chosen: the size that was taken; None where none was.
        own: the score of the model that was made of it.
    """
    points = []
    for size in sizes:
        found, taken = scored.get(size.architecture.units), size.architecture == chosen
        points.append(Point(size, found, taken, own if taken and found is None else None))
    return points
