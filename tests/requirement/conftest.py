from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modelgpt_edge.data.profile import Profile, profile
from modelgpt_edge.data.sources import open_source
from modelgpt_edge.request import Request
from modelgpt_edge.requirement.requirement import Requirement
from modelgpt_edge.requirement.rules import write_requirement

Table = dict[str, list[Any]]


@pytest.fixture(scope="session")
def profiled() -> Callable[[Table], Profile]:
    """The profile of a table in memory."""
    return lambda table: profile(open_source(table), seed=0)


@pytest.fixture(scope="session")
def understood(profiled: Callable[[Table], Profile]) -> Callable[..., Requirement]:
    """What the rules make of a task, a table and options; no target is asked for unless `targets` is given."""

    def understand(task: str, table: Table, **options: Any) -> Requirement:
        request = Request(task=task, data=table, **{"targets": (), **options})
        return write_requirement(request, profiled(table))

    return understand


@pytest.fixture
def flowers() -> Table:
    """Thirty flowers of three species, and a number of petals that goes with them."""
    return {
        "length": [1.5 + 0.1 * i for i in range(30)],
        "width": [0.2 + 0.03 * i for i in range(30)],
        "colour": ["red", "white", "blue"] * 10,
        "petals": [3, 4, 5] * 10,
        "species": ["setosa", "virginica", "versicolor"] * 10,
    }
