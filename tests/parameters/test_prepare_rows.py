"""From typed rows to what the solvers take, and which columns of a very wide table stay."""

from dataclasses import replace

import numpy as np
import pytest

from modelgpt_edge.data.table import Rows
from modelgpt_edge.parameters.prepare import MOST_COLUMNS, Standard, classification_targets, encode, prepare
from modelgpt_edge.schema import Column, Schema


def schema_of(numbers=(), words=(), dates=(), named=()):
    columns = [*(Column(n, "date" if n in dates else "number") for n in numbers), *(Column(n, "category") for n in words)]
    columns = [replace(c, named=c.name in named) for c in columns]
    return Schema(tuple(columns), Column("y", "category"), "", "classification", "", ("k0", "k1"))


def labels_of(rows, seed=0):
    truth = np.random.default_rng(seed).integers(0, 2, rows)
    return truth, np.eye(2, dtype=np.float32)[truth]


def test_encoded_rows_come_with_their_encoder_and_relevance():
    rng = np.random.default_rng(1)
    truth, targets = labels_of(100)
    rows = Rows(
        {"x": (truth + 0.1 * rng.normal(size=100)).astype(np.float32)},
        {"w": rng.choice(np.array(["a", "b"], object), 100)},
        truth,
    )
    ready = prepare(rows, targets, schema_of(["x"], ["w"]))
    assert ready.encoded.shape == (100, ready.encoder.width)
    assert ready.relevance.shape == (ready.encoder.width,)
    assert np.array_equal(encode(ready.encoder, rows), ready.encoded)
    assert ready.encoder.owners()[int(ready.relevance.argmax())] == "x"


def test_dates_are_known_by_the_schema():
    truth, targets = labels_of(50)
    rows = Rows({"when": np.arange(50, dtype=np.float32), "x": np.arange(50, dtype=np.float32)}, {}, truth)
    assert set(prepare(rows, targets, schema_of(["when", "x"], dates=["when"])).encoder.wave_column) == {0}


def test_a_wide_table_keeps_the_relevant_columns():
    rng = np.random.default_rng(2)
    truth, targets = labels_of(80)
    numbers = {f"c{i}": rng.normal(size=80).astype(np.float32) for i in range(700)}
    telling = ["c3", "c350", "c699"]
    for name in telling:
        numbers[name] = (2 * truth + rng.normal(size=80)).astype(np.float32)
    words = {"w": np.where(truth == 1, "yes", "no").astype(object), "ids": np.array([f"i{i % 40}" for i in range(80)], object)}
    ready = prepare(Rows(numbers, words, truth), targets, schema_of(numbers, words))
    assert MOST_COLUMNS - 2 <= ready.encoder.width <= MOST_COLUMNS
    assert set(telling) < set(ready.encoder.numbers)
    assert "w" in ready.encoder.words
    # In the order of the table.
    assert list(ready.encoder.numbers) == [n for n in numbers if n in ready.encoder.numbers]
    assert ready.encoded.shape[1] == ready.encoder.width == len(ready.relevance)


def test_a_narrow_table_keeps_everything():
    truth, targets = labels_of(40)
    rows = Rows({f"c{i}": np.zeros(40, np.float32) for i in range(200)}, {}, truth)
    assert len(prepare(rows, targets, schema_of(rows.numbers)).encoder.numbers) == 200


def test_named_columns_stay_in_a_wide_table():
    truth, targets = labels_of(80)
    rng = np.random.default_rng(3)
    numbers = {f"c{i}": (truth + rng.normal(size=80)).astype(np.float32) for i in range(700)}
    numbers["c200"] = numbers["c650"] = np.full(80, 7, np.float32)  # the least relevant there can be
    words = {"w": np.array(["u", "v"] * 40, object), "ids": np.array([f"i{i % 40}" for i in range(80)], object)}
    rows = Rows(numbers, words, truth)
    named = ("c200", "c650", "ids")
    plain, asked = (prepare(rows, targets, schema_of(numbers, words, named=n)).encoder for n in ((), named))
    assert not set(named) & {*plain.numbers, *plain.words}
    assert set(named) < {*asked.numbers, *asked.words}
    assert asked.width <= MOST_COLUMNS


@pytest.mark.parametrize("fitted", [False, True])
def test_naming_a_column_moves_relevance_to_all_its_encoded_columns(fitted):
    truth, targets = labels_of(64)
    rng = np.random.default_rng(4)
    numbers = {"x": rng.normal(size=64).astype(np.float32), "gaps": np.where(truth == 1, np.nan, 1).astype(np.float32)}
    words = {"w": rng.choice(np.array(["a", "b", "c"], object), 64)}
    rows = Rows(numbers, words, truth)
    plain = prepare(rows, targets, schema_of(numbers, words))
    encoder = plain.encoder if fitted else None
    asked = prepare(rows, targets, schema_of(numbers, words, named=["w", "gaps"]), encoder)
    raised = plain.relevance * np.where(np.array(plain.encoder.owners()) == "x", 1, 1 + 128 / 64)
    assert np.array_equal(asked.encoded, plain.encoded)
    np.testing.assert_allclose(asked.relevance, raised / raised.sum(), rtol=1e-6)


def test_targets_are_one_hot():
    assert classification_targets(np.array([2, 0], np.int32), 3).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_values_are_standardised():
    values = np.array([10.0, 20, 30, 40])
    targets = Standard.of(values).targets(values)
    assert targets.shape == (4, 1)
    assert targets.mean() == pytest.approx(0, abs=1e-6)
    assert targets.std() == pytest.approx(1, rel=1e-6)
    assert Standard.of(np.full(3, 5.0)).targets(np.full(3, 5.0)).tolist() == [[0], [0], [0]]
