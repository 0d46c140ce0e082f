"""Tables larger than their sample: the streamed solve equals one in memory, and its memory doesn't grow with the rows."""

import tracemalloc

import numpy as np
import pytest

from modelgpt_edge.data.profile import profile
from modelgpt_edge.data.stream import Source
from modelgpt_edge.data.table import Rows, open_table
from modelgpt_edge.parameters import stream
from modelgpt_edge.parameters.floor import DrawFeatures, LinearFeatures
from modelgpt_edge.parameters.generate import generate
from modelgpt_edge.parameters.prepare import Standard, classification_targets, encode, prepare
from modelgpt_edge.parameters.ridge import RATIOS
from modelgpt_edge.parameters.stream import emit_streamed
from modelgpt_edge.parameters.units import Widths, draw_units
from modelgpt_edge.schema import Column, Schema

WIDTHS = Widths(16, 8, 8, 8)
CHUNK = 700
NAMES = ("a", "b", "c", "w", "y")


@pytest.fixture
def _small_draws(monkeypatch):
    """Draws of few units, where how many isn't the point."""
    monkeypatch.setattr(stream, "DRAW", WIDTHS)


def chunk_of(place, rows, classes):
    """Raw cells of rows that are a function of their chunk's place alone, so that nothing is kept."""
    rng = np.random.default_rng([7, place])
    a, b, c = rng.normal(size=(3, rows)).astype(np.float32)
    w = rng.choice(["red", "green", "blue"], rows)
    signal = a * b + 0.7 * (w == "red") + 0.3 * rng.normal(size=rows)
    y = np.array([f"k{v}" for v in (signal > 0.2).astype(int) + (signal > 1)]) if classes else signal * 20 + 400
    c = np.where(rng.random(rows) < 0.1, np.nan, c)
    return {"a": a, "b": b, "c": c, "w": w.tolist(), "y": y.tolist()}


def table_of(rows, classes, sample=400, held=150):
    """A table of `rows` rows that are made while they are read."""

    def read(_):
        for place, start in enumerate(range(0, rows, CHUNK)):
            yield chunk_of(place, min(CHUNK, rows - start), classes)

    source = Source("made", NAMES, (), read)
    columns = (*(Column(n, "number") for n in "abc"), Column("w", "category"))
    kind, names = ("classification", ("k0", "k1", "k2")) if classes else ("regression", ())
    label = Column("y", "category" if classes else "number")
    return open_table(
        source, profile(source, 0, sample_rows=sample, held_rows=held), Schema(columns, label, "", kind, "", names)
    )


def targets_of(table):
    if table.schema.classes:
        return lambda rows: classification_targets(rows.labels, 3)
    standard = Standard.of(table.sample.labels)
    return lambda rows: standard.targets(rows.labels)


def joined(chunks):
    chunks = list(chunks)
    return Rows(
        {n: np.concatenate([c.numbers[n] for c in chunks]) for n in chunks[0].numbers},
        {n: np.concatenate([c.words[n] for c in chunks]) for n in chunks[0].words},
        np.concatenate([c.labels for c in chunks]),
    )


def loss_of(logits, truth):
    logits = logits - logits.max(1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    share = 1 / len(truth)
    return -((1 - share) * log_p[np.arange(len(truth)), truth] + share * log_p.mean(1)).mean()


def solved_in_memory(features, targets, sample, sample_targets):
    """The ridge head in float64 on all rows, its penalty by the leave-one-out predictions of the sample's rows."""
    x, y = features.astype(np.float64), targets.astype(np.float64)
    mean, target_mean = x.mean(0), y.mean(0)
    gram, cross = (x - mean).T @ (x - mean), (x - mean).T @ (y - target_mean)
    rows = sample.astype(np.float64) - mean
    runs = []
    for penalty in RATIOS * np.trace(gram):
        inverse = np.linalg.inv(gram + penalty * np.eye(len(gram)))
        weight = inverse @ cross
        leverage = 1 / len(x) + np.einsum("ij,jk,ik->i", rows, inverse, rows)
        left_out = sample_targets - (sample_targets - rows @ weight - target_mean) / (1 - leverage)[:, None]
        if y.shape[1] == 1:
            runs.append((((left_out - sample_targets) ** 2).mean(), 1.0, weight))
        else:
            truth = sample_targets.argmax(1)
            runs.append((*min((loss_of(left_out * f, truth), f) for f in np.exp(np.linspace(0, 3.5, 200))), weight))
    _, factor, weight = min(runs, key=lambda run: run[0])
    return factor * weight, factor * (target_mean - mean @ weight)


@pytest.mark.usefixtures("_small_draws")
@pytest.mark.parametrize("classes", [0, 3])
def test_streamed_ridge_heads_are_those_of_all_rows_in_memory(classes):
    table = table_of(4000, classes)
    assert len(table.held) == 150
    make = targets_of(table)
    _, emissions = emit_streamed(table, make, 2, np.random.default_rng(0), 2, lambda share: None)

    rows = joined(table.chunks())
    assert len(rows) == 4000 - 150
    sample_targets = make(table.sample)
    ready = prepare(table.sample, sample_targets, table.schema)
    units = draw_units(ready.encoded, sample_targets, ready.relevance, WIDTHS, 2, np.random.default_rng(0))
    assert np.array_equal(units.dense_weight, emissions["floor"].units.dense_weight)
    encoded = encode(ready.encoder, rows)
    maps = [LinearFeatures.of(ready.encoded), *(DrawFeatures.of(units.part(d, 2), ready.encoded, WIDTHS) for d in range(2))]
    for features, heads in zip(maps, (*emissions["linear"].heads, *emissions["floor"].heads)):
        weight, bias = solved_in_memory(features(encoded), make(rows), features(ready.encoded), sample_targets)
        expected = features(ready.encoded) @ weight + bias
        got = (features(ready.encoded) / features.scale) @ heads.weight[0] + heads.bias[0]
        # Factors of the logits are found on a grid that is a fiftieth wide.
        assert np.abs(got - expected).max() < (0.02 if classes else 2e-3) * np.abs(expected).max()


def test_held_rows_are_summed_by_nobody():
    table = table_of(3000, 3)
    seen = joined(table.chunks())
    held = {tuple(row) for row in np.stack([table.held.numbers["a"], table.held.numbers["b"]], axis=1).tolist()}
    summed = {tuple(row) for row in np.stack([seen.numbers["a"], seen.numbers["b"]], axis=1).tolist()}
    assert not held & summed
    assert len(held) + len(summed) == 3000


@pytest.mark.usefixtures("_small_draws")
def test_progress_goes_up_to_one():
    table, shares = table_of(3000, 3), []
    emit_streamed(table, targets_of(table), 1, np.random.default_rng(0), 1, shares.append)
    assert shares == sorted(shares)
    assert 0.9 < shares[-1] <= 1


@pytest.mark.usefixtures("_small_draws")
def test_the_streamed_logistic_head_is_there_too():
    table = table_of(3000, 3)
    _, emissions = emit_streamed(table, targets_of(table), 1, np.random.default_rng(0), 1, lambda share: None)
    rows = table.held
    scores = emissions["floor"].scores(encode(emissions["floor"].encoder, rows))
    assert scores.shape == (2, 150, 3)
    for head in scores:
        assert (head.argmax(1) == rows.labels).mean() > 0.7


@pytest.mark.usefixtures("_small_draws")
def test_memory_is_flat_in_the_number_of_rows():
    peaks = []
    for rows in (5_000, 25_000):
        table = table_of(rows, 0)
        make = targets_of(table)
        tracemalloc.start()
        emit_streamed(table, make, 2, np.random.default_rng(0), 1, lambda share: None)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] + 100_000


@pytest.mark.parametrize("classes", [0, 3])
def test_a_streamed_table_is_scored_on_rows_that_no_fit_has_seen(classes):
    table = table_of(4000, classes, sample=600, held=300)
    made = generate(table, (160,), 2, seed=0)
    assert made.scores.child.method == "300 held-out rows that no fit has seen"
    assert made.scores.child.rows == len(made.held_out) == 300
    fresh = joined(table_of(9_000, classes).chunks()).take(slice(5_000, None))  # chunks past the fourth thousand are new
    outputs = made.child.scores(encode(made.child.encoder, fresh))
    if classes:
        accuracy = (outputs.argmax(1) == fresh.labels).mean()
        assert made.scores.child.low <= accuracy <= made.scores.child.high
        assert accuracy > made.scores.linear.value + 0.05
    else:
        r2 = 1 - ((outputs[:, 0] - fresh.labels) ** 2).sum() / ((fresh.labels - fresh.labels.mean()) ** 2).sum()
        assert made.scores.child.value == pytest.approx(r2, abs=0.08)
        assert r2 > made.scores.linear.value + 0.2
