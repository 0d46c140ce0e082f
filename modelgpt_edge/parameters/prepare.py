"""From typed rows to what the solvers take: an encoder, encoded columns, relevance and targets.

This is where the requirement comes in: columns that it names are more relevant, and stay in a table that is cut.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelgpt_edge.child import Encoder, Floats
from modelgpt_edge.data.table import Labels, Rows
from modelgpt_edge.parameters.encoder import fit_encoder
from modelgpt_edge.parameters.relevance import favour, relevance
from modelgpt_edge.schema import Schema

# More encoded columns than this are cut to the most relevant raw columns: a wide table must still fit a small device.
MOST_COLUMNS = 1024


@dataclass(frozen=True)
class Prepared:
    """Encoder fitted on some rows, those rows encoded (N, D), and the relevance (D,) of the encoded columns."""

    encoder: Encoder
    encoded: Floats
    relevance: Floats


def prepare(rows: Rows, targets: Floats, schema: Schema, encoder: Encoder | None = None) -> Prepared:
    """Fit encoder and relevance on rows; of a very wide table only the most relevant raw columns are kept.

    Args:
        encoder: one that is fitted already, so that relevance alone is left to find.
    """
    if encoder is not None:
        return _prepared(encoder, rows, targets, schema.named)
    dates = [c.name for c in schema.columns if c.type == "date"]
    rows = _screen(rows, targets, schema.named)
    dates = [d for d in dates if d in rows.numbers]
    ready = _prepared(fit_encoder(rows.numbers, dates, rows.words), rows, targets, schema.named)
    if ready.encoder.width <= MOST_COLUMNS:
        return ready
    kept = _most_relevant(ready, schema.named)
    numbers = {n: c for n, c in rows.numbers.items() if n in kept}
    words = {n: c for n, c in rows.words.items() if n in kept}
    return _prepared(fit_encoder(numbers, [d for d in dates if d in kept], words), rows, targets, schema.named)


def _prepared(encoder: Encoder, rows: Rows, targets: Floats, named: Collection[str]) -> Prepared:
    encoded = encode(encoder, rows)
    return Prepared(encoder, encoded, favour(relevance(encoded, targets), encoder.owners(), named, len(rows)))


def encode(encoder: Encoder, rows: Rows) -> Floats:
    """Encoded columns (N, D) of rows."""
    return encoder.encode(*encoder.pack(rows.numbers, rows.words, len(rows)))


def sketch_encoder(rows: Rows, schema: Schema) -> Encoder:
    """An encoder of rows, fitted without labels: what sizes are estimated from. Of a very wide table it takes some columns."""
    most = MOST_COLUMNS // 2
    numbers = dict(list(rows.numbers.items())[:most])
    return fit_encoder(numbers, [c.name for c in schema.columns if c.type == "date" and c.name in numbers], rows.words)


def _screen(rows: Rows, targets: Floats, named: Collection[str]) -> Rows:
    """Of too many number columns, the named and the most relevant: relevance goes by ranks and needs no encoder."""
    most = MOST_COLUMNS // 2
    if len(rows.numbers) <= most:
        return rows
    raw = np.nan_to_num(np.stack(list(rows.numbers.values()), axis=1))
    names = list(rows.numbers)
    unnamed = np.array([name not in named for name in names])
    best = np.sort(np.lexsort((-relevance(raw, targets), unnamed))[:most])
    return Rows({names[i]: rows.numbers[names[i]] for i in best}, rows.words, rows.labels)


def _most_relevant(ready: Prepared, named: Collection[str]) -> set[str]:
    """Names of raw columns, the named first, then the most relevant, while their encoded columns fit."""
    owners = np.array(ready.encoder.owners())
    best: dict[str, tuple[bool, float, int]] = {}
    for name in dict.fromkeys(owners):
        mine = ready.relevance[owners == name]
        best[str(name)] = (name in named, float(mine.max()), len(mine))
    kept: set[str] = set()
    room = MOST_COLUMNS
    for name, (_, _, width) in sorted(best.items(), key=lambda item: item[1][:2], reverse=True):
        if width <= room:
            kept.add(name)
            room -= width
    return kept


def classification_targets(labels: NDArray[np.int32], classes: int) -> Floats:
    """One-hot targets (N, K)."""
    return np.eye(classes, dtype=np.float32)[labels]


@dataclass(frozen=True)
class Standard:
    """The affine map that standardises a regression's values; ridge heads are equivariant to it."""

    mean: float
    deviation: float

    @staticmethod
    def of(values: NDArray[np.float64]) -> Standard:
        """Mean and deviation of values (N,); a constant has deviation 1."""
        return Standard(float(values.mean()), float(values.std()) or 1.0)

    def undo(self, scores: Floats) -> Floats:
        """Scores in the values' own unit; those of classes are left as they are by the standard (0, 1)."""
        return (scores * np.float32(self.deviation) + np.float32(self.mean)).astype(np.float32)

    def targets(self, values: NDArray[np.float64]) -> Floats:
        """Standardised values (N, 1)."""
        return ((values - self.mean) / self.deviation).astype(np.float32)[:, None]


def targets_of(labels: Labels, standard: Standard, classes: tuple[str, ...]) -> Floats:
    """What heads are solved for: one-hot classes (N, K) of class positions, or standardised values (N, 1)."""
    if classes:
        return classification_targets(np.asarray(labels, np.int32), len(classes))
    return standard.targets(np.asarray(labels, np.float64))
