"""Options of a build that are checked before any work."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

from modelgpt_edge.errors import InputError

# Thirty years: what is more was meant as something else.
MOST_SECONDS = 1e9


def check_options(seed: int, draws: int, finetune: float) -> None:
    """InputError where one of them can't be."""
    if draws not in (1, 2, 4):
        raise InputError("this many draws can't be distilled", where="--draws", seen=draws, cure="Give 1, 2 or 4.")
    if seed < 0:
        raise InputError("a seed can't be negative", where="--seed", seen=seed, cure="Give 0 or more.")
    if isinstance(finetune, bool) or not isinstance(finetune, Real) or not 0 <= finetune <= MOST_SECONDS:
        cure = "Give a number of seconds, such as 5; 0 is none."
        raise InputError("this is no time to fine-tune for", where="--finetune", seen=finetune, cure=cure)


def check_generator(generator: str | None, known: Sequence[str]) -> None:
    """InputError where there is no such generator."""
    if generator is not None and generator not in known:
        cure = f"Give {', '.join(known[:-1])} or {known[-1]}, or leave it to the guard."
        raise InputError("there is no such generator", where="--generator", seen=generator, cure=cure)
