"""Writes what ships as `parameters/image/imagenet.safetensors`: ImageNet's classes, said in four ways and embedded.

Synonyms and definitions are WordNet's, from the files of the PyPI package timm, which are read and not imported. Run it by
``python -m modelgpt_edge.training.imagenet_names FILE`` with timm 1.0.31 and the sentence encoder installed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from modelgpt_edge.architecture.text.encoder import TextEncoder
from modelgpt_edge.architecture.text.files import find_encoder
from modelgpt_edge.child import Floats
from modelgpt_edge.errors import InputError
from modelgpt_edge.training.checkpoint import write_whole

INFO = Path("data", "_info")


def read_names(folder: Path) -> tuple[list[list[str]], list[str]]:
    """Synonyms and the definition of each of ImageNet's 1,000 classes, in the order of classifiers' rows."""
    synsets = (folder / "imagenet_synsets.txt").read_text(encoding="utf-8").split()
    lemmas, definitions = (_by_synset(folder / f"imagenet_synset_to_{what}.txt") for what in ("lemma", "definition"))
    return [[lemma.strip() for lemma in lemmas[s].split(",")] for s in synsets], [definitions[s] for s in synsets]


def embed_names(encoder: TextEncoder, synonyms: Sequence[Sequence[str]], definitions: Sequence[str]) -> Floats:
    """Embeddings (4, 1000, E) of unit length: synonyms, photos of them, synonyms with the definition, the definition."""
    ways = (
        [list(own) for own in synonyms],
        [[f"a photo of a {name}." for name in own] for own in synonyms],
        [[f"{name}: {meaning}" for name in own] for own, meaning in zip(synonyms, definitions)],
        [[meaning] for meaning in definitions],
    )
    return np.stack([_means(encoder, way) for way in ways])


def _by_synset(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t", 1) for line in lines)


def _means(encoder: TextEncoder, texts: Sequence[Sequence[str]]) -> Floats:
    embedded = encoder.embed([text for own in texts for text in own])
    ends = np.cumsum([len(own) for own in texts])
    means = np.stack([part.mean(0) for part in np.split(embedded, ends[:-1])])
    unit: Floats = means / np.linalg.norm(means, axis=1, keepdims=True)
    return unit


def main(out: Path) -> None:
    """Write the file.

    Raises:
        InputError: timm isn't installed, or the file can't be written.
    """
    spec = find_spec("timm")
    if spec is None or spec.origin is None:
        cure = "pip install --no-deps timm==1.0.31"
        raise InputError("the names are read from timm, which isn't installed", where="imagenet_names", cure=cure)
    encoder = TextEncoder.of(find_encoder())
    views = embed_names(encoder, *read_names(Path(spec.origin).parent / INFO))
    story = {
        "encoder_sha256": encoder.files.sha256,
        "source": "WordNet by timm 1.0.31",
        "ways": "names, photos, told, definitions",
    }
    write_whole(out, save({"views": views.astype(np.float16)}, story))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
