"""What a language model suggests where the rules only guess: checked before it gets here, and never of targets or limits."""

from __future__ import annotations

from dataclasses import dataclass

from modelgpt_edge.schema import Kind


@dataclass(frozen=True)
class Advice:
    """Suggestions for a table's requirement; options and the task's own words go before each of them.

    Attributes:
        by: who suggests, for the report.
        label: name of the label column, None for no suggestion.
        kind: classification or regression, None for no suggestion.
        named: columns that the task names as telling.
    """

    by: str = ""
    label: str | None = None
    kind: Kind | None = None
    named: frozenset[str] = frozenset()


NO_ADVICE = Advice()
