"""The head that words alone give: where each class's name and meaning lie in the encoder's space.

It serves as the whole head where there is no example, and as the prior mean of the solved one where there are some.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.child import Floats
from modelgpt_edge.requirement.wording import spoken_name

# A bare name is seldom a sentence: the mean over ways to use it lies nearer to what people write. Of twenty ways these were
# picked, one after the other, on half of CLINC150's intents.
PROMPTS = ("{}?", "{}!", "i need help with {}")
# Other ways, that no direction is a mean of.
ABOUT = (
    *("{}", "{} please", "i have a question about {}", "this is about {}", "why {}", "can you help me with {}", "another {}"),
    *("what does {} mean", "it is {}", "my problem is {}", "tell me more about {}", "is this {} or something else"),
    *("hello, {} again", "{} since yesterday", "no {} yet", "{}, and thank you"),
)


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


def sayings(label: str, meaning: str = "") -> list[str]:
    """Texts that a class's direction is the mean of: ways to use its name and, where there is one, its meaning."""
    name = spoken_name(label)
    said = [prompt.format(name) for prompt in PROMPTS]
    if not meaning.strip():
        return said
    return [*said, meaning.strip(), f"{meaning.strip()}?", f"{name}: {meaning.strip()}"]


def texts_about(classes: Sequence[str], meanings: Mapping[str, str]) -> list[str]:
    """Texts about classes that their directions aren't made of: what can be asked where no text was given.

    The first ones are of all classes.
    """
    names = [spoken_name(name) for name in classes]
    return [
        *filter(None, (meanings.get(name, "").strip() for name in classes)),
        *(way.format(n) for way in ABOUT for n in names),
    ]
