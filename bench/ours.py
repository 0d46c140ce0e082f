"""Our own contenders: the road from raw cells to a child that `build` takes, without compiling and packaging.

Typing and the requirement are the product's own rooms, fed with the raw training columns; nothing is prepared for us that a
user's CSV file would not get. A package answers as its child does, which the numeric gate proves, so no bench repeats it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from contender import Contender, Fitted
from encoding import Raw

if TYPE_CHECKING:
    from modelgpt_edge.child import Child
    from modelgpt_edge.data.table import Table
    from modelgpt_edge.parameters.floor import Emission

TASK = "predict the label"


def generate_child(table: Table, seed: int, generator: str | None) -> Child:
    """Generate a child for a typed table: the one place where the benches meet the parameter generator.

    Args:
        table: the training part, typed by the requirement's schema.
        seed: seed of every draw.
        generator: `linear` to force the plain linear model; None for what `build` ships: the guard's winner, calibrated.

    Returns:
        The child, whose `outputs` are calibrated probabilities (N, K), or values (N, 1) in the label's own unit.
    """
    from modelgpt_edge.architecture.architecture import SIZES
    from modelgpt_edge.parameters.generate import generate

    units = [u for u in reversed(SIZES) if u] if generator != "linear" else (0,)
    return generate(table, units, 4, seed, generator=generator, workers=1).child


def fit_ours(train: dict[str, list], label: str, kind: str, seed: int, generator: str | None = None) -> Fitted:
    """Fit on raw training columns, the label's among them, timed from the raw columns on.

    Its size is that of the parameters: four bytes each, and the words of the vocabularies.
    """
    from modelgpt_edge.data.cells import read_words
    from modelgpt_edge.data.profile import profile
    from modelgpt_edge.data.sources import open_source
    from modelgpt_edge.data.table import open_table, read_rows
    from modelgpt_edge.parameters.prepare import encode
    from modelgpt_edge.request import Request
    from modelgpt_edge.requirement.rules import write_requirement

    start = time.perf_counter()
    source = open_source(train)
    facts = profile(source, seed)
    requirement = write_requirement(Request(TASK, train, label=label, kind=kind, seed=seed), facts)
    child = generate_child(open_table(source, facts, requirement.schema), seed, generator)
    seconds = time.perf_counter() - start

    def outputs(rows: Raw) -> np.ndarray:
        return child.outputs(encode(child.encoder, read_rows(rows, requirement.schema, labelled=False)))

    # The child spells its classes canonically ("-1.0" is "-1"); the bench asks for them as the table spells them.
    spelled = dict(zip(read_words(train[label]), train[label])) if child.classes else {}
    words = sum(len(word.encode()) for vocabulary in child.encoder.vocabularies for word in vocabulary)
    return Fitted(outputs, tuple(str(spelled[c]) for c in child.classes), 4 * child.parameters + words, seconds)


def prepared_floor(x: np.ndarray, y: np.ndarray) -> Callable[[int, int], Emission]:
    """The parameter generator alone, for the clock: a function of (draws, seed) that emits the floor from numbers in memory.

    It fits the encoder and the relevance, draws the units and solves both heads of every draw; typing, cross-validation and
    guard are left out.

    Args:
        x: numbers (N, C) float32.
        y: class names (N,).
    """
    from modelgpt_edge.data.table import Rows
    from modelgpt_edge.parameters.floor import emit_floor
    from modelgpt_edge.parameters.prepare import classification_targets, prepare
    from modelgpt_edge.parameters.units import Widths
    from modelgpt_edge.schema import Column, Schema

    names, labels = np.unique(y, return_inverse=True)
    classes = tuple(str(name) for name in names)
    columns = {f"x{i}": np.ascontiguousarray(column) for i, column in enumerate(x.T)}
    rows = Rows(columns, {}, labels.astype(np.int32))
    schema = Schema(tuple(Column(n, "number") for n in columns), Column("label", "category"), "", "classification", "", classes)
    targets = classification_targets(rows.labels, len(classes))

    def draw(draws: int, seed: int) -> Emission:
        return emit_floor(prepare(rows, targets, schema), targets, Widths(), draws, np.random.default_rng(seed))

    return draw


def _ours(key: str, title: str, generator: str | None) -> Contender:
    needs, distributions = ("modelgpt_edge",), ("modelgpt-edge", "numpy")
    return Contender(key, title, needs, distributions, ("classification", "regression"), partial(fit_ours, generator=generator))


OURS = (
    _ours("modelgpt-edge", "modelgpt-edge", None),
    _ours("modelgpt-edge-linear", "modelgpt-edge, linear", "linear"),
)
