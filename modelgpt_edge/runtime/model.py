"""A loaded model: rows in any common form to labels, probabilities or values."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.data.cells import Cells, read_column
from modelgpt_edge.data.sources import open_source
from modelgpt_edge.errors import InputError, ModelgptEdgeError, PackageError, nearest
from modelgpt_edge.manifest import TRUTH, Variant
from modelgpt_edge.runtime.executors import Executor, open_executor
from modelgpt_edge.runtime.opening import Package, open_package


# The target that stands for this kind of machine.
HERE = {"x86_64": "x86", "amd64": "x86"}


def load(path: str | Path, variant: str | None = None) -> Model:
    """Open a package and load one of its variants; never builds, never downloads.

    Args:
        path: the package's folder.
        variant: ``target-backend-precision``, or ``model`` for the package's ONNX model itself. Without it the fastest
            variant made for this kind of machine; one that can't be used here is passed over with a warning.

    Raises:
        PackageError: the package is damaged, or has no such variant.
    """
    package = open_package(path)
    if variant is not None:
        chosen = _named(package, variant)
        return Model(package, chosen, open_executor(package, chosen))
    here = HERE.get(platform.machine().lower())
    for candidate in (v for v in package.manifest.variants if v.target == here):
        try:
            return Model(package, candidate, open_executor(package, candidate))
        except ModelgptEdgeError as error:
            warnings.warn(f"variant {candidate.name} can't be used, the next one is: {error}", RuntimeWarning, stacklevel=2)
    return Model(package, None, open_executor(package, None))


def _named(package: Package, name: str) -> Variant | None:
    """The variant of a name, None for the ONNX model itself; PackageError with the nearest names."""
    known = {v.name: v for v in package.manifest.variants} | {"model": None}
    if name not in known:
        raise PackageError("the package has no such variant", where=str(package.path), seen=name, cure=nearest(name, known))
    return known[name]


class Model:
    """A loaded model.

    Attributes:
        package: the opened package.
        variant: the compiled form in use; None for the ONNX model itself.
        classes: names in the order of the probabilities; empty for regression.
        inputs: names of the columns that the model needs.
    """

    def __init__(self, package: Package, variant: Variant | None, executor: Executor) -> None:
        self.package, self.variant, self._executor = package, variant, executor
        manifest = package.manifest
        self.classes, self.inputs = manifest.classes, manifest.inputs
        columns = {c.name: c for c in manifest.requirement.schema.columns}
        self._numbers = [columns[n] for n in manifest.inputs if columns[n].type != "category"]
        self._words = [columns[n] for n in manifest.inputs if columns[n].type == "category"]
        self._places = [{word: i for i, word in enumerate(v)} for v in manifest.vocabularies]
        self._names = np.array(self.classes, object)

    def __repr__(self) -> str:
        form = self.variant.name if self.variant else TRUTH
        return f"<modelgpt-edge model {self.package.path.name!r} ({form}): {len(self.inputs)} columns>"

    def predict(self, rows: Any) -> NDArray[Any]:
        """Class names (N,) of rows, or values (N,) for regression; rows as in `predict_proba`."""
        outputs = self._outputs(rows)
        return self._names[outputs.argmax(1)] if self.classes else outputs[:, 0].astype(np.float64)

    def predict_proba(self, rows: Any) -> Floats:
        """Probabilities (N, K) of rows, in the order of `classes`.

        Args:
            rows: a dict (one row), list of dicts, dict of columns, DataFrame, or 2-D array of numbers. Columns may stand
                in any order, others are ignored, words never seen and missing cells are fine. An array has either the
                model's inputs in order, or every column of the table but the label.

        Raises:
            InputError: a column is absent, or the model gives values, not classes.
        """
        if not self.classes:
            raise InputError("this model predicts a value and has no classes", where="predict_proba", cure="Call predict().")
        return self._outputs(rows)

    def run(self, numbers: Floats, words: Sequence[NDArray[np.object_]]) -> Floats:
        """Outputs (N, K) or (N, 1) of typed inputs: numbers (N, C) and a list of S word columns (N,)."""
        rows = len(numbers) if self._numbers or not len(words) else len(words[0])
        codes = np.full((rows, len(self._places)), -1, np.int32)
        for s, (column, places) in enumerate(zip(words, self._places)):
            codes[:, s] = [places.get(word, -1) for word in column]
        return self._executor.run(numbers, codes)

    def _outputs(self, rows: Any) -> Floats:
        if isinstance(rows, np.ndarray) and rows.ndim == 2 and rows.dtype.kind in "fiub" and not self._words:
            return self._executor.run(self._pick_array(rows), np.zeros((len(rows), 0), np.int32))
        if isinstance(rows, dict) and not any(isinstance(v, (list, tuple, np.ndarray)) for v in rows.values()):
            return self._executor.run(*self._one_row(rows))
        names = self._array_names(rows.shape[1]) if isinstance(rows, np.ndarray) and rows.ndim == 2 else None
        parts = [self.run(*self.read(chunk)) for chunk in open_source(rows, names).chunks()]
        return np.concatenate(parts) if parts else np.zeros((0, max(1, len(self.classes))), np.float32)

    def read(self, cells: dict[str, Cells]) -> tuple[Floats, list[NDArray[np.object_]]]:
        """Numbers (N, C) and S word columns (N,) of raw cells by column name; InputError where one is absent."""
        absent = [name for name in self.inputs if name not in cells]
        if absent:
            raise _absent(absent, list(cells))
        rows = len(next(iter(cells.values())))
        numbers = np.empty((rows, len(self._numbers)), np.float32)
        for c, column in enumerate(self._numbers):
            numbers[:, c] = read_column(cells[column.name], column)
        return numbers, [read_column(cells[column.name], column) for column in self._words]

    def _one_row(self, row: dict[str, Any]) -> tuple[Floats, Ints]:
        """Numbers (1, C) and word positions (1, S) of one row; plain numbers and known words, what an app sends most, go
        the quick way."""
        try:
            values = [row[c.name] for c in self._numbers]
            if all(type(v) is float or type(v) is int for v in values):
                codes = [places[row[c.name]] for c, places in zip(self._words, self._places)]
                return np.array([values], np.float32), np.array([codes], np.int32)
        except (KeyError, TypeError):
            pass  # a gap, a word never seen or spelled otherwise, or a column that isn't there: the thorough way tells
        numbers, words = self.read({name: [value] for name, value in row.items()})
        codes = [places.get(word[0], -1) for word, places in zip(words, self._places)]
        return numbers, np.array([codes], np.int32)

    def _array_names(self, width: int) -> list[str]:
        schema = self.package.manifest.requirement.schema
        inputs = [c.name for c in schema.columns if c.name in set(self.inputs)]
        everything = list(self.package.manifest.columns)
        for names in (inputs, everything):
            if len(names) == width:
                return names
        raise InputError(
            "an array of this width doesn't fit the model",
            where="predict",
            seen=f"{width} columns",
            cure=f"Give its {len(inputs)} inputs in order ({', '.join(inputs[:5])}, ...), or a DataFrame or dicts with names.",
        )

    def _pick_array(self, rows: NDArray[Any]) -> Floats:
        width = rows.shape[1]
        if width == len(self.inputs) and self._in_order:
            return rows if rows.dtype == np.float32 else rows.astype(np.float32)
        names = {name: i for i, name in enumerate(self._array_names(width))}
        return rows[:, [names[c.name] for c in self._numbers]].astype(np.float32)

    @property
    def _in_order(self) -> bool:
        """Whether the numbers stand in the table's order, which holds where there are no words."""
        return not self._words


def _absent(absent: list[str], present: list[str]) -> InputError:
    more = f" and {len(absent) - 1} more ({', '.join(map(repr, absent[1:5]))})" if len(absent) > 1 else ""
    return InputError(
        f"the model needs column {absent[0]!r}{more}, and the rows don't have it",
        where="predict",
        seen=present[:20],
        cure=nearest(absent[0], present) if present else "Give the columns that `inspect` lists.",
    )
