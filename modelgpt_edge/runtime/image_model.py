"""A loaded model of pictures: files, arrays or folders of them in, classes and probabilities out. Reading runs here."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Floats
from modelgpt_edge.data.picture_sets import open_pictures
from modelgpt_edge.errors import InputError
from modelgpt_edge.golden import Golden
from modelgpt_edge.manifest import Variant
from modelgpt_edge.pictures.read import read_picture
from modelgpt_edge.runtime.opening import Package
from modelgpt_edge.runtime.table_model import Model
from modelgpt_edge.targets.backend import Executor

# Pictures that are read before they are run: memory stays the same however many there are.
AT_ONCE = 64


class PictureModel(Model):
    """A loaded model of pictures.

    Attributes:
        size: pixels of a side that a picture is squashed to.
    """

    def __init__(self, package: Package, variant: Variant | None, executor: Executor) -> None:
        super().__init__(package, variant, executor)
        self.size = int(package.manifest.architecture["size"])

    def run_golden(self, golden: Golden) -> Floats:
        """Outputs (N, K) of golden pictures."""
        if golden.pictures is None:
            raise InputError("the golden rows hold no pictures", where=str(self.package.path), cure="Build anew.")
        return self.run_pictures(golden.pictures)

    def run_pictures(self, pictures: NDArray[np.uint8]) -> Floats:
        """Outputs (N, K) of pictures (N, S, S, 3) of the model's size."""
        return self._executor.run(np.zeros((len(pictures), 0), np.float32), pictures)

    def run_each(self, sources: Iterable[Any]) -> Floats:
        """Outputs (N, K) of pictures one after the other, each as `read_picture` takes it."""
        found: list[Floats] = []
        waiting: list[NDArray[np.uint8]] = []
        for source in sources:
            waiting.append(read_picture(source, self.size))
            if len(waiting) == AT_ONCE:
                found.append(self.run_pictures(np.stack(waiting)))
                waiting = []
        if waiting:
            found.append(self.run_pictures(np.stack(waiting)))
        if not found:
            raise InputError("there is no picture", where="predict", cure="Give at least one.")
        return np.concatenate(found)

    def run_file(self, path: str) -> tuple[Floats, tuple[str, ...], tuple[str, ...]]:
        """Outputs of a picture, or of all in a folder, a zip or a table of paths, notes on those, and their names."""
        found = open_pictures(path, labelled=False)
        return self.run_each(entry.content() for entry in found.entries), found.notes, tuple(e.name for e in found.entries)

    def _outputs(self, rows: Any) -> Floats:
        """Outputs of a picture, of several in a list, of those in a folder, zip or table, or of arrays (N, H, W, 3)."""
        if isinstance(rows, (str, os.PathLike)):
            return self.run_file(os.fspath(rows))[0]
        if isinstance(rows, np.ndarray) and rows.ndim == 4:
            rows = list(rows)
        if isinstance(rows, (list, tuple)):
            return self.run_each(rows)
        return self.run_each([rows])
