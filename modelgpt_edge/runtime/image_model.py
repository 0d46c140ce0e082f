"""A loaded model of pictures: files, arrays or folders of them in, classes and probabilities out. Reading runs here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Floats
from modelgpt_edge.data.picture_faults import left_out, refuse_too_many
from modelgpt_edge.data.picture_memory import picture_entry
from modelgpt_edge.data.picture_set import PictureEntry, is_picture
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
# Unreadable pictures that are named one by one.
NAMED = 20


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

    def run_each(self, pictures: Iterable[NDArray[np.uint8]]) -> Floats:
        """Outputs (N, K) of pictures (S, S, 3) of the model's size, some at a time as they come; N may be 0."""
        found = [np.empty((0, len(self.classes)), np.float32)]
        coming = iter(pictures)
        while some := list(islice(coming, AT_ONCE)):
            found.append(self.run_pictures(np.stack(some)))
        return np.concatenate(found)

    def run_file(self, path: str) -> tuple[Floats, tuple[str, ...], tuple[str, ...]]:
        """Outputs of a picture, or of all in a folder, a zip or a table of paths, notes on those, and their names.

        Pictures that can't be read are left out, and the notes name them. InputError where they are too many.
        """
        found = open_pictures(path, labelled=False)
        failed: list[InputError] = []
        left: list[tuple[str, str]] = []
        names: list[str] = []

        def read() -> Iterator[NDArray[np.uint8]]:
            for entry in found.entries:
                try:
                    picture = self._read(entry)
                except InputError as error:
                    failed.append(error)
                    left.append((entry.name, error.what))
                    refuse_too_many(found.name, len(found.entries), failed)
                else:
                    names.append(entry.name)
                    yield picture

        outputs = self.run_each(read())
        return outputs, (*found.notes, *left_out(left, NAMED)), tuple(names)

    def _outputs(self, rows: Any) -> Floats:
        """Outputs of a picture, of several in a list or as they come, of those in a folder, zip or table, or of arrays.

        An array is (N, H, W) or (N, H, W, C). Every picture is answered: InputError where one can't be read.
        """
        entries: Iterable[PictureEntry]
        if isinstance(rows, Iterator) and not is_picture(rows):  # an open file, which is a picture, comes by lines
            entries = (picture_entry(f"picture {place}", None, row) for place, row in enumerate(rows, 1))
        else:
            entries = open_pictures(rows, labelled=False).entries
        outputs = self.run_each(map(self._read, entries))
        if not len(outputs):
            raise InputError("there is no picture", where="predict", cure="Give at least one.")
        return outputs

    def _read(self, entry: PictureEntry) -> NDArray[np.uint8]:
        return read_picture(entry.content(), self.size, entry.name)
