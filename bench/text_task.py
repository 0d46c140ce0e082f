"""What the contenders of bench/text.py are given, what they give back, and the encoder that they start from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from text_sets import Texts

if TYPE_CHECKING:
    from modelgpt_edge.architecture.text.encoder import TextEncoder


@dataclass(frozen=True)
class Settings:
    """What a run asks of its contenders.

    Attributes:
        test_rows: at most so many test rows; None for all.
        setfit_iterations: pairs of each kind that SetFit draws for every row.
        tuning_rows: rows that fine-tuning sees, epochs counted, within its least and most epochs.
    """

    threads: int = 2
    test_rows: int | None = None
    setfit_iterations: int = 20
    tuning_rows: int = 6_000


@dataclass(frozen=True)
class Task:
    """What a contender learns from: classes by name, labelled texts (perhaps none), and how it is run."""

    classes: tuple[str, ...]
    rows: Texts
    seed: int
    settings: Settings


@dataclass(frozen=True, eq=False)
class Asked:
    """Test rows, and what the frozen encoder makes of them: computed once, outside every clock."""

    rows: Texts

    @cached_property
    def embeddings(self) -> np.ndarray:
        """As the product has them."""
        return open_encoder().embed(self.rows.texts, self.rows.pairs)

    @cached_property
    def features(self) -> np.ndarray:
        """As the peers on the frozen encoder have them: the same for texts, their own for pairs."""
        return self.embeddings if self.rows.pairs is None else frozen_features(open_encoder(), self.rows)


@dataclass(frozen=True)
class Fit:
    """A fitted contender: probabilities (N, K) of what is asked, seconds from texts to model, and what else is known."""

    probabilities: Callable[[Asked], np.ndarray]
    seconds: float
    facts: dict[str, Any] = field(default_factory=dict)


def open_encoder() -> TextEncoder:
    """The product's encoder, opened afresh."""
    from modelgpt_edge.architecture.text.encoder import TextEncoder
    from modelgpt_edge.architecture.text.files import find_encoder

    return TextEncoder.of(find_encoder())


def frozen_features(encoder: TextEncoder, rows: Texts) -> np.ndarray:
    """Embeddings u of texts (N, D); of pairs |u - v| and u v (N, 2 D), as InferSent has them (Conneau et al. 2017)."""
    first = encoder.embed(rows.texts)
    if rows.pairs is None:
        return first
    second = encoder.embed(rows.pairs)
    return np.concatenate([np.abs(first - second), first * second], 1)


def spread(p: np.ndarray, seen: np.ndarray, task: Task) -> np.ndarray:
    """Probabilities (N, seen) as (N, K): classes without an example have none."""
    whole = np.zeros((len(p), len(task.classes)))
    whole[:, seen] = p
    return whole
