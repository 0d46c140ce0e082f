"""Made-up tables of known shape, for the benches that measure time: what they hold is the same on every machine."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

CHUNK = 50_000
NUMBERS, WORDS = 14, (2, 3, 5, 8, 12, 30)
GAP = 0.03


def three_classes(rows: int = 1000, columns: int = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A numeric table (rows, columns) float32 of three classes (rows,) that no linear model separates."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, columns)).astype(np.float32)
    noise = 0.5 * rng.standard_normal(rows)
    y = (x[:, 0] * x[:, 1] + x[:, 2] + noise > 0).astype(int) + (x[:, 3] + 0.5 * np.sin(2 * x[:, 4]) > 0.8)
    return x, np.array(["low", "middle", "high"])[y]


def columns_of(x: np.ndarray) -> dict[str, list]:
    """Columns of raw cells (strings) of a numeric table, named x0, x1, ..."""
    return {f"x{i}": [repr(float(v)) for v in column] for i, column in enumerate(x.T)}


def write_csv(path: Path, columns: dict[str, list]) -> None:
    """Write columns of raw cells as a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values()))


def write_mixed(path: Path, rows: int, seed: int = 0) -> None:
    """Stream a mixed table to a CSV file: 14 number columns, 6 of words, 3 % of the cells empty, a nonlinear two-class label.

    Memory doesn't grow with the rows, and a longer file starts with the rows of a shorter one.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*[f"n{i}" for i in range(NUMBERS)], *[f"w{i}" for i in range(len(WORDS))], "label"])
        for columns in _mixed_chunks(rows, seed):
            writer.writerows(zip(*columns))


def _mixed_chunks(rows: int, seed: int) -> Iterator[list[list[str]]]:
    effects = np.random.default_rng([seed, 1]).standard_normal((len(WORDS), max(WORDS)))
    for number, start in enumerate(range(0, rows, CHUNK)):
        rng = np.random.default_rng([seed, 2, number])
        x = rng.standard_normal((CHUNK, NUMBERS))
        codes = np.stack([rng.integers(0, size, CHUNK) for size in WORDS], axis=1)
        effect = effects[np.arange(len(WORDS)), codes]
        logit = (
            x[:, 0] * x[:, 1]
            + np.sin(2 * x[:, 2])
            + np.abs(x[:, 3])
            - 0.8
            + effect[:, 0]
            + 0.7 * effect[:, 2] * x[:, 4]
            + effect[:, 4]
        )
        label = rng.random(CHUNK) < 1 / (1 + np.exp(-2 * logit))
        x[:, 5:8] = np.exp(x[:, 5:8])  # skewed, as amounts are
        x[:, 8] = np.round(40 + 12 * x[:, 8])  # whole numbers, as ages are
        gaps = rng.random((CHUNK, NUMBERS + len(WORDS))) < GAP
        many = min(CHUNK, rows - start)
        columns = [[f"{v:.6g}" for v in x[:many, i]] for i in range(NUMBERS)]
        columns += [[f"word{c}" for c in codes[:many, s]] for s in range(len(WORDS))]
        for i, column in enumerate(columns):
            for row in np.flatnonzero(gaps[:many, i]):
                column[row] = ""
        yield [*columns, ["yes" if v else "no" for v in label[:many]]]
