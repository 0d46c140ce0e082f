"""How much a hypernetwork is worth on tasks that it never learnt from: the product's solved head, with its encoder and without.

The loss of training doesn't tell: it falls also where only the training's own classes gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.child import Floats
from modelgpt_edge.parameters.text.head import Examples
from modelgpt_edge.parameters.text.judging import TEXTS
from modelgpt_edge.parameters.text.lora import LoraGenerator, describe_task
from modelgpt_edge.parameters.text.prior import word_prior
from modelgpt_edge.training.text.tasks import TextTask

# Examples of a class, draws of them, and the most texts that are asked.
SHOTS, DRAWS, ASKED = (0, 1, 8), 2, 256


@dataclass(frozen=True)
class TaskScore:
    """Accuracy of the solved head on a task, mean over draws, by the plain and by the adapted encoder; of names at 0 shots."""

    task: str
    classes: int
    shots: int
    plain: float
    adapted: float

    def line(self) -> str:
        """For people."""
        gain = 100 * (self.adapted - self.plain)
        shots = f"{self.shots} shot{'' if self.shots == 1 else 's'}"
        task = f"{self.task}, {self.classes} classes, {shots}"
        return f"{task}: {self.plain:.4f} plain, {self.adapted:.4f} adapted, {gain:+.2f} points"


@dataclass(frozen=True, eq=False)
class _Draw:
    """One draw of examples and questions from a task."""

    task: TextTask
    shots: int
    support: list[str]
    labels: NDArray[np.int32]
    asked: list[str]
    truth: NDArray[np.int32]

    def accuracy(self, encoder: TextEncoder, prior: Floats, embeddings: Floats) -> float:
        """Share of the questions that the solved head gets right, or without examples the names."""
        asked = encoder.embed(self.asked)
        if not self.support:
            return float(((asked @ prior).argmax(1) == self.truth).mean())
        examples = Examples.with_words(embeddings, self.labels, prior)
        with threadpool_limits(1, "blas"):
            head = examples.solve(prior, TEXTS.usual(len(self.task.classes)))
        return float((head.logits(asked).argmax(1) == self.truth).mean())


@dataclass(frozen=True, eq=False)
class Judge:
    """Tasks to judge by, and the plain encoder."""

    encoder: TextEncoder
    tasks: Sequence[TextTask]
    seed: int

    @cached_property
    def _draws(self) -> list[tuple[_Draw, Floats, Floats, float]]:
        """Draws, with names and examples as the plain encoder has them, and its accuracy."""
        found = []
        for task in self.tasks:
            prior = word_prior(self.encoder, task.classes, {})
            for shots in SHOTS:
                for number in range(DRAWS):
                    draw = _draw(task, shots, np.random.default_rng([self.seed, shots, number]))
                    embeddings = self.encoder.embed(draw.support)
                    found.append((draw, prior, embeddings, draw.accuracy(self.encoder, prior, embeddings)))
        return found

    def scores(self, generator: LoraGenerator) -> tuple[TaskScore, ...]:
        """What a generator is worth on each task at each number of shots."""
        found: dict[tuple[str, int, int], list[tuple[float, float]]] = {}
        for draw, names, embeddings, plain in self._draws:
            adapted = generator.adapt(self.encoder, describe_task(names, embeddings))
            prior = word_prior(adapted, draw.task.classes, {})
            right = draw.accuracy(adapted, prior, adapted.embed(draw.support))
            found.setdefault((draw.task.name, len(draw.task.classes), draw.shots), []).append((plain, right))
        return tuple(TaskScore(*key, *np.mean(pairs, axis=0).tolist()) for key, pairs in found.items())


def _draw(task: TextTask, shots: int, rng: np.random.Generator) -> _Draw:
    support = [(text, k) for k, own in enumerate(task.texts) for text in rng.permutation(np.array(own, object))[:shots]]
    asked = [(text, k) for k, own in enumerate(task.asked) for text in own]
    asked = [asked[i] for i in rng.permutation(len(asked))[:ASKED]]
    labels, truth = (np.array([k for _, k in pairs], np.int32) for pairs in (support, asked))
    return _Draw(task, shots, [text for text, _ in support], labels, [text for text, _ in asked], truth)
