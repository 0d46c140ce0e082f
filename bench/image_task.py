"""What a contender of bench/images.py is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from picture_sets import PictureSet, draws

if TYPE_CHECKING:
    from modelgpt_edge.architecture.image.backbone import Backbone
    from modelgpt_edge.architecture.image.template import SizedBackbone

# Pictures without labels, apart from those that are learnt and those that are asked.
UNLABELLED = 200
ASKED_AT_ONCE = 200


@dataclass(frozen=True)
class Settings:
    """What a run asks of its contenders: threads, and at most so many pictures."""

    threads: int = 2
    asked: int = 1_000


@dataclass(frozen=True, eq=False)
class Task:
    """What a contender learns from.

    Attributes:
        learnt: places of labelled pictures in `found`, perhaps none; apart: of UNLABELLED others.
        size: pixels of a side of what the backbone sees.
    """

    found: PictureSet
    learnt: np.ndarray
    apart: np.ndarray
    size: int
    seed: int
    threads: int

    @property
    def labels(self) -> np.ndarray:
        """(N,) int32."""
        return self.found.labels[self.learnt].astype(np.int32)

    def pictures(self) -> np.ndarray:
        """(N, S, S, 3), read anew from what was published."""
        return self.found.at(self.size, self.learnt)


@dataclass(frozen=True, eq=False)
class Asked:
    """Pictures that nothing was learnt from, and what the frozen backbone makes of them: outside every clock."""

    found: PictureSet
    places: np.ndarray
    size: int

    @cached_property
    def channels(self) -> tuple[np.ndarray, ...]:
        """Of the last layer (N, D), of the tiny trunk beside it, and of stages before it."""
        known = _known_channels(self.found, self.size)
        new = [place for place in self.places.tolist() if place not in known]
        template = open_template(self.size) if new else None
        for start in range(0, len(new), ASKED_AT_ONCE):
            part = new[start : start + ASKED_AT_ONCE]
            known |= {place: rows for place, *rows in zip(part, *template.channels(self.found.at(self.size, part)))}
        return tuple(np.stack(rows) for rows in zip(*(known[place] for place in self.places.tolist())))

    def batches(self, size: int | None = None) -> Iterator[np.ndarray]:
        """Pictures in their order, a few hundred at a time; at `size`, or its own."""
        for start in range(0, len(self.places), ASKED_AT_ONCE):
            yield self.found.at(size or self.size, self.places[start : start + ASKED_AT_ONCE])


@lru_cache(maxsize=4)
def _known_channels(found: PictureSet, size: int) -> dict[int, list[np.ndarray]]:
    """Channels by place, filled as they are asked for."""
    return {}


Scores = Callable[[Asked], np.ndarray]


@dataclass(frozen=True)
class Fit:
    """A fitted contender: scores (N, K) of what is asked, what else is known, and scores of its int8 form where it has one."""

    scores: Scores
    facts: dict[str, Any] = field(default_factory=dict)
    int8: Scores | None = None


def drawn(found: PictureSet, shots: int, seed: int, size: int, settings: Settings) -> tuple[Task, Asked]:
    """What a seed draws: pictures to learn from, UNLABELLED apart, and those to ask, none of them the same."""
    learnt, rest = next(draws(found.labels, shots, len(found.labels), (seed,)))
    task = Task(found, learnt, rest[:UNLABELLED], size, seed, settings.threads)
    return task, Asked(found, rest[UNLABELLED:][-settings.asked :], size)


def open_template(size: int) -> SizedBackbone:
    """The backbone at a size, as the product builds on it."""
    from modelgpt_edge.architecture.image.template import SizedBackbone, TrunkTemplate

    return SizedBackbone(open_backbone(), size, TrunkTemplate.shipped())


def open_backbone() -> Backbone:
    """The product's backbone, opened afresh."""
    from modelgpt_edge.architecture.image.backbone import Backbone
    from modelgpt_edge.architecture.image.files import find_backbone

    return Backbone.of(find_backbone())
