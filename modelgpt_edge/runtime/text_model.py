"""A loaded model of texts: strings in, classes and probabilities out. The tokenizer runs here, the rest is the executor's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Floats
from modelgpt_edge.data.cells import is_missing, read_texts
from modelgpt_edge.data.sources import Source, open_source
from modelgpt_edge.errors import InputError
from modelgpt_edge.manifest import Variant
from modelgpt_edge.runtime.opening import Package
from modelgpt_edge.runtime.table_model import Model
from modelgpt_edge.runtime.text_reading import TextReader
from modelgpt_edge.targets.backend import Executor
from modelgpt_edge.tokens import TOKENIZER, Tokens, codes_of


class TextModel(Model):
    """A loaded model of texts.

    Attributes:
        inputs: the name of the text column, or of both columns of a pair; rows may also be plain strings.
    """

    def __init__(self, package: Package, variant: Variant | None, executor: Executor) -> None:
        super().__init__(package, variant, executor)
        folder = "" if variant is None else f"{variant.path}/"
        self._tokens = open_tokens(package, folder)

    def run(self, numbers: Floats, words: Sequence[NDArray[np.object_]]) -> Floats:
        """Outputs (N, K) of texts, one column of strings (N,), or two of pairs."""
        return self._run_texts(*map(list, words))

    def run_source(self, source: Source) -> tuple[Floats, tuple[str, ...]]:
        """Outputs (N, K) of a table, and what the user should know of its rows."""
        reader = TextReader(self.inputs, source)
        outputs = np.concatenate([self._run_texts(*reader.read(chunk)) for chunk in source.chunks()])
        return outputs, reader.notes()

    def _run_texts(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> Floats:
        codes = codes_of(self._tokens, texts, pairs, int(self.package.manifest.architecture["words"]))
        return self._executor.run(np.zeros((len(codes), 0), np.float32), codes)

    def _outputs(self, rows: Any) -> Floats:
        """Outputs of a string, of strings in a list, array or Series, or of what any table may be; a `Path` is a file."""
        if len(self.inputs) == 1 and isinstance(rows, str):
            return self._run_texts([rows])
        if getattr(rows, "ndim", 0) == 1:  # an array, or a column of a DataFrame
            rows = rows.tolist()
        if isinstance(rows, (list, tuple)) and rows and not isinstance(rows[0], (Mapping, list, tuple, np.ndarray)):
            return self._run_texts(self._strings(rows))
        if isinstance(rows, dict) and all(isinstance(value, str) for value in rows.values()):
            rows = [rows]
        if isinstance(rows, np.ndarray) or (isinstance(rows, (list, tuple)) and rows and isinstance(rows[0], (list, tuple))):
            return self.run_source(open_source(rows, self.inputs))[0]
        return self.run_source(open_source(rows))[0]

    def _strings(self, rows: Sequence[Any]) -> list[str]:
        """A list of strings, some perhaps missing, as texts; InputError for anything else."""
        if len(self.inputs) > 1:
            cure = f"Give tuples of two texts, or dicts with {' and '.join(map(repr, self.inputs))}."
            raise InputError("the model compares two texts", where="predict", seen=rows[0], cure=cure)
        cure = f"Give strings, or rows with {self.inputs[0]!r}."
        odd = next((i for i, row in enumerate(rows) if not (isinstance(row, (str, bytes)) or is_missing(row))), None)
        if odd is not None:
            raise InputError("a row is no text", where=f"predict, row {odd + 1}", seen=rows[odd], cure=cure)
        if not any(isinstance(row, (str, bytes)) for row in rows):
            raise InputError("there is no text in these rows", where="predict", seen=rows[0], cure=cure)
        return read_texts(rows)


def open_tokens(package: Package, folder: str) -> Tokens:
    """The tokenizer of a variant's folder, "" for the package's own."""
    path: Path = package.file(f"{folder}{TOKENIZER}")
    return Tokens.read(path.read_bytes(), int(package.manifest.architecture["tokens"]))
