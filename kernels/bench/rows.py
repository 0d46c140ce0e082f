"""What was measured of a case, and what follows from it: shares of the roofs, ratios to baselines, the summary.

Pure functions of numbers, so that a record of a run says all that the run itself said.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from modelgpt_edge.kernels.bench.cases import Case
from modelgpt_edge.kernels.bench.contenders import TWO_STEPS
from modelgpt_edge.kernels.bench.models import DISTILLED, Served, request
from modelgpt_edge.kernels.bench.roofs import Roofs
from modelgpt_edge.kernels.bench.timing import Memory, Spread

# From so many requests on a launch is large enough to be held against the copy's bandwidth.
MANY = 64


@dataclass(frozen=True)
class Timed:
    """One contender's times and memory.

    Attributes:
        span, wall: seconds on the GPU from the first kernel or copy to the last, and on the wall.
        sqnr_db: of the groups held against float64.
    """

    span: Spread
    wall: Spread
    memory: Memory
    sqnr_db: float | None


@dataclass(frozen=True)
class Row:
    """A case, our times, and the baselines' or why there are none.

    Attributes:
        kernel: seconds of our Triton kernel alone. What the roofs allow is held against it; ratios are of spans, for a caller
            pays for tables and buffers as well.
    """

    case: Case
    ours: Timed
    kernel: Spread
    baselines: dict[str, Timed | str]

    @property
    def timed(self) -> dict[str, Timed]:
        """The baselines that ran."""
        return {name: found for name, found in self.baselines.items() if isinstance(found, Timed)}

    @property
    def best(self) -> str | None:
        """The baseline that takes the GPU least; None where none ran."""
        return min(self.timed, key=lambda name: self.timed[name].span.median, default=None)

    @property
    def ratio(self) -> float | None:
        """How much longer than ours the best baseline takes on the GPU."""
        return None if self.best is None else self.ratio_to(self.best)

    @property
    def wall_ratio(self) -> float | None:
        """How much longer than ours the baseline takes that is best on the wall."""
        walls = [t.wall.median for t in self.timed.values()]
        return min(walls) / self.ours.wall.median if walls else None

    @property
    def bandwidth(self) -> float:
        """Bytes a second, of those that must be moved."""
        return self.case.moved_bytes / self.kernel.median

    @property
    def speed(self) -> float:
        """Operations a second, of those that must be made."""
        return self.case.flops / self.kernel.median

    def share(self, roofs: Roofs) -> float:
        """Of what the roofs allow, the nearer one."""
        return roofs.seconds(self.case) / self.kernel.median

    def ratio_to(self, name: str) -> float | None:
        """How much longer than ours one baseline takes on the GPU; None where it didn't run."""
        found = self.timed.get(name)
        return None if found is None else found.span.median / self.ours.span.median

    def to_json(self, roofs: Roofs) -> dict[str, Any]:
        """As JSON values: what was measured, and what follows."""
        case = asdict(self.case) | {"name": self.case.name, "bytes": self.case.moved_bytes, "flops": self.case.flops}
        others = {name: {"reason": t} if isinstance(t, str) else asdict(t) for name, t in self.baselines.items()}
        follows = {"bandwidth": self.bandwidth, "flops_per_s": self.speed, "share_of_roof": self.share(roofs)}
        ratios = {"best": self.best, "ratio": self.ratio, "wall_ratio": self.wall_ratio}
        ours = asdict(self.ours) | {"kernel": asdict(self.kernel)}
        return {"case": case, "ours": ours, **follows, **ratios, "baselines": others}


def geometric_mean(ratios: Iterable[float | None]) -> float | None:
    """Of the ratios that there are; None without any."""
    logs = [math.log(r) for r in ratios if r is not None]
    return math.exp(math.fsum(logs) / len(logs)) if logs else None


def worst(rows: Iterable[Row]) -> Row | None:
    """The row that is the slowest beside its best baseline; None where no baseline ran."""
    return min((r for r in rows if r.ratio is not None), key=lambda r: r.ratio or 0.0, default=None)


@dataclass(frozen=True)
class Goal:
    """What is wanted of an H100, and what was measured; None where nothing was.

    Attributes:
        most: the figure wanted is the largest allowed, not the smallest.
    """

    words: str
    wanted: float
    measured: float | None
    most: bool = False

    @property
    def met(self) -> bool | None:
        """None where it wasn't measured."""
        if self.measured is None:
            return None
        return self.measured <= self.wanted if self.most else self.measured >= self.wanted


def goals(rows: Sequence[Row], roofs: Roofs | None, models: Sequence[Served] = ()) -> list[Goal]:
    """The figures wanted beside those measured, each by its worst row where it isn't a mean."""
    rates = {served.units: served.rate for served in models}
    large = [r for r in rows if r.case.requests >= MANY and r.case.kernel != "gram"]
    sums = [r for r in rows if r.case.kernel == "gram"]
    copied = min((r.bandwidth for r in large), default=None)
    last = worst(rows)
    eager = [r for r in sums if isinstance(r.baselines.get("batched"), Timed)]
    extra = [r.ours.memory.extra / max(1, r.timed["batched"].memory.extra) for r in eager]
    return [
        Goal(
            f"emit and merge, {MANY} requests and more: least share of the copy's bandwidth",
            0.85,
            None if copied is None or roofs is None else copied / roofs.copy,
        ),
        Goal("geometric mean of the ratios to the best baseline", 1.3, geometric_mean(r.ratio for r in rows)),
        Goal("the worst row's ratio", 0.95, None if last is None else last.ratio),
        Goal(
            "emission in int8: ratio to emission in the factors' type and torch's quantisation, geometric mean",
            1.6,
            geometric_mean(r.ratio_to(TWO_STEPS) for r in rows),
        ),
        Goal("gram: ratio to eager torch, batched, geometric mean", 1.5, geometric_mean(r.ratio_to("batched") for r in sums)),
        Goal("gram: memory beyond operands and sums, of eager torch's, at the most", 0.1, max(extra, default=None), most=True),
        Goal(f"models a second end to end, {request(DISTILLED)}", 1000.0, rates.get(DISTILLED)),
    ]
