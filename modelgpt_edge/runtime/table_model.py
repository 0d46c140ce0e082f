"""A loaded model of a table: rows in any common form to labels, probabilities or values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Floats, Ints
from modelgpt_edge.data.sources import Source, open_source
from modelgpt_edge.data.stream import no_rows
from modelgpt_edge.errors import InputError
from modelgpt_edge.golden import Golden
from modelgpt_edge.manifest import TRUTH, Variant
from modelgpt_edge.runtime.opening import Package
from modelgpt_edge.runtime.reading import Reader
from modelgpt_edge.targets.backend import Executor

# Types of numbers that need no reading.
PLAIN = frozenset({float, int, np.float32, np.float64, np.int32, np.int64})


class Model:
    """A loaded model.

    Attributes:
        package: the opened package.
        variant: the compiled form in use; None for the ONNX model itself.
        classes: names in the order of the probabilities; empty for regression.
        inputs: names of the columns that the model needs, in the order of the table that it was built from.
    """

    def __init__(self, package: Package, variant: Variant | None, executor: Executor) -> None:
        self.package, self.variant, self._executor = package, variant, executor
        manifest = package.manifest
        self.classes = manifest.classes
        columns = {c.name: c for c in manifest.requirement.schema.columns if c.name in set(manifest.inputs)}
        self.inputs = tuple(columns)
        self._numbers = [columns[n] for n in manifest.inputs if columns[n].type in ("number", "date")]
        self._words = [columns[n] for n in manifest.inputs if columns[n].type == "category"]
        self._places = [{word: i for i, word in enumerate(v)} for v in manifest.vocabularies]
        self._names = np.array(self.classes, object)
        # Dates need reading in every form of rows: a plain number there is no date.
        self._plain = all(c.type == "number" for c in self._numbers)

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
            rows: a dict (one row), list of dicts, dict of columns, DataFrame, 2-D array, or path of a file. Columns may
                stand in any order, others are ignored, words never seen and missing cells are fine. An array has either
                the model's inputs in order, or every column of the table but the label.

        Raises:
            InputError: there is no row, a column is absent, or the model gives values, not classes.
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

    def run_golden(self, golden: Golden) -> Floats:
        """Outputs of golden rows."""
        return self.run(golden.numbers, [golden.words[:, s] for s in range(golden.words.shape[1])])

    def run_file(self, path: str) -> tuple[Floats, tuple[str, ...], tuple[str, ...]]:
        """Outputs of a file, notes on it, and names of what was in it, where its rows have any."""
        return (*self.run_source(open_source(path)), ())

    def run_source(self, source: Source) -> tuple[Floats, tuple[str, ...]]:
        """Outputs (N, K) or (N, 1) of a table, and what the user should know of its rows."""
        reader = Reader(self._numbers, self._words, self._places, source)
        outputs = np.concatenate([self._executor.run(*reader.read(chunk)) for chunk in source.chunks()])
        return outputs, (*source.notes, *reader.notes())

    def _outputs(self, rows: Any) -> Floats:
        if self._plain and isinstance(rows, dict) and (row := self._plain_row(rows)) is not None:
            return self._executor.run(*row)
        if isinstance(rows, np.ndarray) and rows.ndim == 2:
            if rows.dtype.kind in "fiub" and self._plain and not self._words:
                return self._executor.run(self._pick(rows), np.zeros((len(rows), 0), np.int32))
            return self.run_source(open_source(rows, self._array_names(rows.shape[1])))[0]
        if isinstance(rows, (list, tuple)) and rows and isinstance(rows[0], (list, tuple, np.ndarray)):
            return self.run_source(open_source(rows, self._array_names(len(rows[0]))))[0]
        return self.run_source(open_source(rows))[0]

    def _plain_row(self, row: dict[str, Any]) -> tuple[Floats, Ints] | None:
        """Numbers (1, C) and word positions (1, S) of a row of plain numbers and known words, which is what an app sends.

        None for any other dict: one with gaps, words never seen or spelled otherwise, columns of cells, or too few keys.
        """
        try:
            values = [row[c.name] for c in self._numbers]
            if not all(type(v) in PLAIN for v in values):
                return None
            codes = [places[row[c.name]] for c, places in zip(self._words, self._places)]
            with np.errstate(over="ignore"):
                return np.array([values], np.float32), np.array([codes], np.int32)
        except (KeyError, TypeError, OverflowError):
            return None

    def _array_names(self, width: int) -> tuple[str, ...]:
        """Names of an array's columns, told by their number: the inputs, or every column of the table but the label."""
        for names in (self.inputs, self.package.manifest.columns):
            if len(names) == width:
                return names
        shown = ", ".join(self.inputs[:5]) + (", ..." if len(self.inputs) > 5 else "")
        raise InputError(
            "an array of this width doesn't fit the model",
            where="predict",
            seen=f"{width} columns",
            cure=f"Give its {len(self.inputs)} inputs in order ({shown}), or a DataFrame or dicts with names.",
        )

    def _pick(self, rows: NDArray[Any]) -> Floats:
        """The inputs (N, C) out of an array of numbers."""
        if not len(rows):
            raise no_rows("the array")
        names = self._array_names(rows.shape[1])
        if names != self.inputs:
            places = {name: i for i, name in enumerate(names)}
            rows = rows[:, [places[name] for name in self.inputs]]
        with np.errstate(over="ignore"):
            return rows.astype(np.float32, copy=False)
