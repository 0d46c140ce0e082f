"""Tasks as a user might bring them, drawn from labelled texts: some classes, few examples of each, and queries to judge by.

What the plain encoder makes of every text is computed once, so that the first of the two passes costs training nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.child import Floats
from modelgpt_edge.parameters.text.lora import describe_task
from modelgpt_edge.parameters.text.prior import sayings, word_prior
from modelgpt_edge.training.text.tasks import TextTask

# Classes of an episode, examples of each, the most examples in all, and queries.
CLASSES, SHOTS, SUPPORT, QUERIES = (2, 20), (0, 1, 2, 4, 8, 16), 96, 32
# Share of the episodes whose classes are named alike, and how many candidates there are for each of their classes.
ALIKE, CANDIDATES = 0.5, 2
Ids = list[list[int]]


@dataclass(frozen=True, eq=False)
class Embedded:
    """A task to learn from as token ids, with what the plain encoder makes of it.

    Attributes:
        ids: of its texts; owner: place (N,) of each one's class; embeddings: (N, D).
        names: ids of the ways to say each class's name; directions: of the classes' names (D, K).
    """

    name: str
    ids: Ids
    owner: NDArray[np.int64]
    embeddings: Floats
    names: list[Ids]
    directions: Floats

    @staticmethod
    def of(task: TextTask, encoder: TextEncoder, progress: Callable[[float], None] = lambda share: None) -> Embedded:
        """Embed a task's texts and names."""
        texts = [text for own in task.texts for text in own]
        owner = np.repeat(np.arange(len(task.classes)), [len(own) for own in task.texts])
        names = [encoder.tokens.ids(sayings(name)) for name in task.classes]
        directions = word_prior(encoder, task.classes, {})
        embeddings = encoder.embed(texts, progress=progress)
        return Embedded(task.name, encoder.tokens.ids(texts), owner, embeddings, names, directions)


@dataclass(frozen=True, eq=False)
class Drawn:
    """Texts by their token ids, what the plain encoder makes of them (N, D), and their classes (N,) in the episode."""

    ids: Ids
    embeddings: Floats
    labels: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Episode:
    """A task of K classes.

    Attributes:
        task: its description, by the plain encoder.
        names: ids of the ways to say each class's name; directions: of the names by the plain encoder (D, K).
        support: its examples, perhaps none; queries: other texts of its classes.
    """

    task: Floats
    names: list[Ids]
    directions: Floats
    support: Drawn
    queries: Drawn


def draw_episode(sets: Sequence[Embedded], rng: np.random.Generator) -> Episode:
    """An episode from one of the sets, each in proportion to the root of the number of its classes."""
    sizes = np.sqrt([len(one.names) for one in sets])
    chosen = sets[int(rng.choice(len(sets), p=sizes / sizes.sum()))]
    classes = _draw_classes(chosen, rng)
    shots = min(int(rng.choice(SHOTS)), SUPPORT // len(classes))
    # One text of a class at least is left to ask.
    support, rest = [], []
    for k in classes:
        mine = rng.permutation(np.flatnonzero(chosen.owner == k))
        taken = min(shots, len(mine) - 1)
        support.append(mine[:taken])
        rest.append(mine[taken:])
    queries = rng.permutation(np.concatenate(rest))[:QUERIES]
    place = np.zeros(len(chosen.names), np.int64)
    place[classes] = np.arange(len(classes))

    def drawn(rows: NDArray[np.intp]) -> Drawn:
        return Drawn([chosen.ids[i] for i in rows], chosen.embeddings[rows], place[chosen.owner[rows]])

    examples = drawn(np.concatenate(support).astype(np.intp))
    directions = chosen.directions[:, classes]
    task = describe_task(directions, examples.embeddings)
    return Episode(task, [chosen.names[k] for k in classes], directions, examples, drawn(queries))


def _draw_classes(chosen: Embedded, rng: np.random.Generator) -> NDArray[np.intp]:
    """Any classes of a set, or some that are named alike, in random order."""
    every = len(chosen.names)
    count = min(int(rng.integers(CLASSES[0], CLASSES[1] + 1)), every)
    if rng.random() >= ALIKE:
        return rng.permutation(every)[:count]
    anchor = int(rng.integers(every))
    nearest = np.argsort(-(chosen.directions.T @ chosen.directions[:, anchor]), kind="stable")
    return rng.permutation(nearest[: CANDIDATES * count])[:count]
