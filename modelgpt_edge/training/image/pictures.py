"""The photographs that the trunk learns from and is judged by: CIFAR-10 as a zip of class folders, its parts kept apart."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.architecture.image.trunk_shape import SIZE
from modelgpt_edge.errors import InputError
from modelgpt_edge.pictures.read import read_picture

FOLDER = "MODELGPT_EDGE_DATA"
NAME = "cifar10"
FILE = f"images/{NAME}.zip"
PARTS = ("train", "test")
# Pictures between two reports of progress.
REPORT = 500


@dataclass(frozen=True, eq=False)
class Pictures:
    """Labelled pictures.

    Attributes:
        levels: (N, 32, 32, 3) uint8; labels: (N,) places in `classes`.
    """

    classes: tuple[str, ...]
    levels: NDArray[np.uint8]
    labels: NDArray[np.int64]


def find_pictures() -> Path:
    """Where the zip lies; InputError where it doesn't."""
    folder = os.environ.get(FOLDER)
    path = Path(folder or ".") / FILE
    if not folder or not path.is_file():
        cure = f"Set {FOLDER} to a folder that holds {FILE}: pictures as train/CLASS/NAME and test/CLASS/NAME."
        raise InputError("there are no pictures to learn from", where=FOLDER, seen=folder, cure=cure)
    return path


def read_pictures(path: Path, progress: Callable[[float], None] = lambda share: None) -> tuple[Pictures, Pictures]:
    """The pictures to learn from and those to judge by; classes in sorted order, the same in both.

    Raises:
        InputError: the file is no such zip, or a picture in it can't be read.
    """
    try:
        with zipfile.ZipFile(path) as file:
            names = sorted(name for name in file.namelist() if not name.endswith("/"))
            places = {part: [n for n in names if _place(n)[0] == part] for part in PARTS}
            classes = tuple(sorted({_place(name)[1] for name in places[PARTS[0]]}))
            if len(classes) < 2 or {_place(name)[1] for name in places[PARTS[1]]} != set(classes):
                raise ValueError("it has no two classes, the same in train/ and in test/")
            total, read, parts = sum(map(len, places.values())), 0, []
            for part in PARTS:
                levels = np.empty((len(places[part]), SIZE, SIZE, 3), np.uint8)
                for i, name in enumerate(places[part]):
                    levels[i] = read_picture(file.read(name), SIZE, f"{path}, {name}")
                    read += 1
                    if read % REPORT == 0:
                        progress(read / total)
                labels = np.array([classes.index(_place(name)[1]) for name in places[part]], np.int64)
                parts.append(Pictures(classes, levels, labels))
    except (OSError, zipfile.BadZipFile, ValueError, RuntimeError, NotImplementedError) as error:
        cure = "Give a zip of pictures as train/CLASS/NAME and test/CLASS/NAME."
        raise InputError("the pictures can't be read", where=str(path), seen=str(error), cure=cure) from error
    return parts[0], parts[1]


def _place(name: str) -> tuple[str, str]:
    """Part and class of a picture in the zip."""
    parts = PurePosixPath(name).parts
    return (parts[0], parts[1]) if len(parts) == 3 else ("", "")
