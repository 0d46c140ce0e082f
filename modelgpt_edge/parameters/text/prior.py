"""The head that words alone give: where each class's name and meaning lie in the encoder's space.

It serves as the whole head where there is no example, and as the prior mean of the solved one where there are some.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.child import Floats

# A bare name is seldom a sentence: the mean over ways to use it lies nearer to what people write. Of twenty ways these were
# picked, one after the other, on half of CLINC150's intents.
PROMPTS = ("{}?", "{}!", "i need help with {}")


def word_prior(encoder: TextEncoder, classes: Sequence[str], meanings: Mapping[str, str]) -> Floats:
    """Directions of classes (D, K) of unit length.

    Args:
        meanings: a description of some classes, by name; it counts as much as the name does.
    """
    texts = [(k, text) for k, name in enumerate(classes) for text in sayings(name, meanings.get(name, ""))]
    embedded = encoder.embed([text for _, text in texts])
    owner = np.array([k for k, _ in texts])
    means = np.stack([embedded[owner == k].mean(0) for k in range(len(classes))], axis=1)
    return unit_columns(means)


def unit_columns(matrix: Floats) -> Floats:
    """Columns (D, K) scaled to unit length; one of nothing stays nothing."""
    return matrix / np.maximum(np.linalg.norm(matrix, axis=0, keepdims=True), 1e-12).astype(np.float32)


def spoken_name(name: str) -> str:
    """A class's name as one would say it: ``card_arrival`` and ``cardArrival`` become "card arrival"."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return " ".join(re.sub(r"[_\-/.]+", " ", split).split()) or name


def sayings(label: str, meaning: str = "") -> list[str]:
    """Texts that a class's direction is the mean of: ways to use its name and, where there is one, its meaning."""
    name = spoken_name(label)
    said = [prompt.format(name) for prompt in PROMPTS]
    if not meaning.strip():
        return said
    return [*said, meaning.strip(), f"{meaning.strip()}?", f"{name}: {meaning.strip()}"]
