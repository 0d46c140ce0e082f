"""Children of every kind, and a cache of compiled templates that all tests of a process share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from modelgpt_edge.child import Child, Floats, Ints
from modelgpt_edge.compile.source import ChildSource
from modelgpt_edge.data.table import Rows
from modelgpt_edge.parameters.blend import Blend
from modelgpt_edge.parameters.floor import emit_floor, emit_linear, fuse
from modelgpt_edge.parameters.prepare import Standard, classification_targets, prepare
from modelgpt_edge.parameters.units import Widths
from modelgpt_edge.schema import Column, Schema

ROWS = 80
WIDTHS = Widths(32, 16, 8, 8)


@pytest.fixture(scope="session")
def template_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tvm-cache")


@pytest.fixture(autouse=True)
def _own_cache(template_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(template_cache))


@pytest.fixture(scope="session")
def make_child() -> Callable[..., Child]:
    return child_of


def child_of(classes: int = 2, widths: Widths | None = WIDTHS, seed: int = 0, numbers: int = 4, words: int = 3) -> Child:
    """A child emitted for a small table; no classes for regression, no widths for a plain linear model."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS, numbers)).astype(np.float32)
    x[::7, 0] = np.nan
    signal = x[:, 1] * x[:, 2] + x[:, 3]
    edges = np.quantile(signal, np.linspace(0, 1, classes + 1)[1:-1]) if classes else []
    labels = np.digitize(signal, edges).astype(np.int32) if classes else 300 + 20 * signal
    # The same words for every seed: vocabularies are part of the shape.
    word = np.array([f"w{i % words}" for i in range(ROWS)], object)
    rows = Rows({f"c{i}": c for i, c in enumerate(x.T)}, {"word": word}, labels)
    columns = (*(Column(n, "number") for n in rows.numbers), Column("word", "category"))
    names = tuple(f"k{i}" for i in range(classes))
    schema = Schema(columns, Column("y", "category"), "", "classification" if classes else "regression", "", names)
    standard = Standard(0.0, 1.0) if classes else Standard.of(labels)
    targets = classification_targets(labels, classes) if classes else standard.targets(labels)
    linear = 1.0 if widths is None else 0.0
    ready = prepare(rows, targets, schema)
    floor = emit_floor(ready, targets, widths or Widths(16, 8, 8, 8), 2, np.random.default_rng(seed))
    emissions = {"linear": emit_linear(ready, targets), "floor": floor}
    blend = Blend(0.5 if classes else 1.0, linear, 1.0, 0.0)
    return fuse(emissions, blend.weights(2 if classes else 1), standard, names)


@pytest.fixture(scope="session")
def source_of() -> Callable[[Child], ChildSource]:
    return lambda child: ChildSource(child, "0", {})


@pytest.fixture(scope="session")
def packed_rows() -> Callable[..., tuple[Floats, Ints]]:
    """Rows of a child's columns, unlike the table's too: gaps, infinities, huge values and unknown words."""

    def rows(child: Child, count: int = 40) -> tuple[Floats, Ints]:
        rng = np.random.default_rng(5)
        numbers = (rng.normal(size=(count, len(child.encoder.numbers))) * 2).astype(np.float32)
        numbers[:4] = np.array([np.nan, np.inf, -np.inf, 3e38], np.float32)[:, None]
        codes = rng.integers(-1, 3, (count, len(child.encoder.words))).astype(np.int32)
        return numbers, codes

    return rows


@pytest.fixture(scope="session")
def with_other_weights() -> Callable[[Child], Child]:
    """A child of the same shapes and encoder whose weights are all different."""

    def change(child: Child) -> Child:
        units = replace(
            child.units,
            dense_weight=child.units.dense_weight[:, ::-1] * np.float32(0.5),
            sparse_column=child.units.sparse_column[::-1].copy(),
            leaf_bias=child.units.leaf_bias + np.float32(0.25),
        )
        return replace(child, units=units, head_weight=child.head_weight[::-1] * np.float32(1.5))

    return change
