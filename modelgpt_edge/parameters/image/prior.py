"""The head that names alone give: where a classifier of ImageNet would put classes that it never had.

Two guesses are added, each of length one: a linear map from sentence embeddings of ImageNet's names to its classifier's rows,
and the mean of the rows whose names lie nearest. Constants were chosen by leaving ImageNet's own classes out, no picture seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.child import Floats
from modelgpt_edge.errors import PackageError
from modelgpt_edge.parameters.text.prior import unit_columns
from modelgpt_edge.requirement.wording import spoken_name

SHIPPED = Path(__file__).with_name("imagenet.safetensors")
# Ridge penalty of the map; names that are nearest, and the power of their cosines by which they count.
PENALTY, NEAREST, POWER = 20.0, 30, 4
# Ways to use a name, the bare one last; with a meaning, that is said too.
PROMPTS = ("a photo of a {}.", "{}")
# Cosines of two guesses: above the first names say nearly the same, which is so of 25 of the 499,500 pairs of different names
# that ImageNet has; above the second they are one and the same to the encoder.
ALIKE, SAME = 0.93, 1 - 1e-6
# A name says little where its mean cosine with the CLOSEST nearest of ImageNet's names is below LITTLE. Chosen on the names in
# tests/image/test_names_say_little.py, no picture seen: below lie 2 of 183 that name what pictures show and 82 of 91 that don't
# (digits, codes, letters, nonsense); of CIFAR-100's, which chose nothing, 3 of 100. The cosine with the one nearest name tells
# them apart less well: what is spelled alike lies near by chance.
CLOSEST, LITTLE = 5, 0.29
# Length below which what is left of a guess, once the mean is taken from it, is rounding.
NOTHING = 1e-3


@dataclass(frozen=True, eq=False)
class ImagenetNames:
    """Sentence embeddings (V, 1000, E) of ImageNet's classes, said in V ways: synonyms, photos, definitions.

    Attributes:
        encoder_sha256: of the encoder that made them.
    """

    views: Floats
    encoder_sha256: str

    @staticmethod
    def shipped(path: Path = SHIPPED) -> ImagenetNames:
        """Those that come with the package; PackageError where the file is damaged."""
        try:
            with safe_open(path, framework="np") as file:
                facts = file.metadata() or {}
                return ImagenetNames(file.get_tensor("views").astype(np.float32), facts["encoder_sha256"])
        except (SafetensorError, KeyError, OSError) as error:
            cure = "Install modelgpt-edge anew."
            raise PackageError("ImageNet's names can't be read", where=str(path), seen=str(error), cure=cure) from error

    def guesses(self, said: Floats, classifier: Floats) -> Floats:
        """Where (K, D) a classifier would put classes: the sum of two guesses of length one.

        Args:
            said: sentence embeddings (K, E) of the classes, of unit length; classifier: rows (1000, D) of ImageNet's classes.
        """
        rows = _unit(classifier - classifier.mean(0))
        # All ways to say a class lead to the same row, so rows are summed over them first.
        every = self.views.reshape(-1, self.views.shape[-1])
        mean, mean_row = every.mean(0), rows.mean(0)
        centred = every - mean
        right = centred.reshape(self.views.shape).sum(0).T @ (rows - mean_row)
        squares = centred.T @ centred + PENALTY * np.eye(every.shape[1])
        mapped = np.linalg.solve(squares.astype(np.float64), (said - mean).T).T @ right + mean_row
        cosines = np.concatenate([said @ view.T for view in self.views], axis=1)
        nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :NEAREST]
        worth = np.maximum(np.take_along_axis(cosines, nearest, 1), 0) ** POWER
        worth /= np.maximum(worth.sum(1, keepdims=True), 1e-12)
        near = np.einsum("kn,knd->kd", worth, rows[nearest % len(rows)])
        guessed: Floats = (_unit(mapped) + _unit(near)).astype(np.float32)
        return guessed

    def nearness(self, said: Floats) -> Floats:
        """How near sentence embeddings (M, E) of unit length lie to what ImageNet names: (M,), mean cosines with the nearest.

        A cosine with a class is the mean over the ways to say it, so a name is near that lies near its definition too.
        """
        cosines: Floats = said @ self.views.mean(0).T
        return np.sort(cosines, axis=1)[:, -CLOSEST:].mean(1)


def picture_prior(
    names: ImagenetNames, encoder: TextEncoder, classes: Sequence[str], meanings: Mapping[str, str], classifier: Floats
) -> Floats:
    """Directions of classes (D, K) by their names and, where given, their meanings; `classifier` as for `guesses`."""
    return directions(picture_guesses(names, embed_classes(encoder, classes, meanings), classifier))


def embed_classes(encoder: TextEncoder, classes: Sequence[str], meanings: Mapping[str, str]) -> list[Floats]:
    """Sentence embeddings (M, E) of ways to say each class: its name by `PROMPTS`, then its meaning where one is given."""
    said = [_sayings(name, meanings.get(name, "")) for name in classes]
    embedded = encoder.embed([text for ways in said for text in ways])
    return np.split(embedded, np.cumsum([len(ways) for ways in said])[:-1])


def directions(guessed: Floats) -> Floats:
    """Directions (D, K) of unit length, centred on their mean, of guesses (K, D); zeros where nothing is left of one."""
    left = guessed - guessed.mean(0)
    left[np.linalg.norm(left, axis=1) < NOTHING] = 0
    return unit_columns(left.T).astype(np.float32)


def picture_guesses(names: ImagenetNames, said: Sequence[Floats], classifier: Floats) -> Floats:
    """Guesses (K, D) of classes by what `embed_classes` made of them; `classifier` as for `guesses`."""
    return names.guesses(_unit(np.stack([ways.mean(0) for ways in said])), classifier)


def saying_little(names: ImagenetNames, said: Sequence[Floats], classes: Sequence[str]) -> list[str]:
    """Classes of which neither the name nor the meaning lies near to what ImageNet names; `said` as for `picture_guesses`."""
    # Any word as "a photo of" is near to a thing: the bare name and what is said of it are asked.
    near = [names.nearness(ways[len(PROMPTS) - 1 :]).max() for ways in said]
    return [name for name, nearness in zip(classes, near) if nearness < LITTLE]


def alike(guessed: Floats, classes: Sequence[str], cosine: float = ALIKE) -> list[tuple[str, str]]:
    """Pairs of classes whose guesses (K, D) lie nearer than `cosine`, the nearest first: names hardly tell them apart."""
    rows = _unit(guessed)
    cosines = rows @ rows.T
    pairs = [(i, j) for j in range(len(classes)) for i in range(j) if cosines[i, j] > cosine]
    return [(classes[i], classes[j]) for i, j in sorted(pairs, key=lambda pair: -cosines[pair])]


def _sayings(label: str, meaning: str) -> list[str]:
    name = spoken_name(label).lower()
    said = [prompt.format(name) for prompt in PROMPTS]
    return [*said, f"{name}: {meaning.strip()}", meaning.strip()] if meaning.strip() else said


def _unit(rows: Floats) -> Floats:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
