"""Held-out evidence: folds, no leak on noise, and a guard that ships what is likelier."""

import numpy as np
import pytest

from modelgpt_edge.data.table import Rows
from modelgpt_edge.parameters import evidence as evidence_module
from modelgpt_edge.parameters.distil import Match
from modelgpt_edge.parameters.emissions import emit_all
from modelgpt_edge.parameters.evidence import Evidence, gather, judge, split_folds
from modelgpt_edge.parameters.prepare import encode
from modelgpt_edge.parameters.score import classification_score
from modelgpt_edge.schema import Column, Schema

UNITS = 80


@pytest.fixture
def _one_repetition(monkeypatch):
    """What a claim needs in many tables needn't be repeated within each."""
    monkeypatch.setattr(evidence_module, "repeats_for", lambda *_: 1)


def schema_of(names, classes):
    kind = "classification" if classes else "regression"
    return Schema(
        tuple(Column(n, "number") for n in names), Column("y", "category"), "", kind, "", tuple(f"k{i}" for i in range(classes))
    )


def gathered(x, labels, classes=2, seed=0, units=UNITS, workers=2):
    """Evidence on number columns (N, D) and class positions or values (N,), and the targets."""
    numbers = {f"c{i}": column.astype(np.float32) for i, column in enumerate(x.T)}
    targets = (
        np.eye(classes, dtype=np.float32)[labels]
        if classes
        else ((labels - labels.mean()) / labels.std()).astype(np.float32)[:, None]
    )
    rows = Rows(numbers, {}, labels)
    return gather(rows, targets, schema_of(numbers, classes), units, 4, seed, workers, lambda share: None), targets


def log_loss(scores, labels):
    p = np.exp(scores - scores.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return -np.log(p[np.arange(len(labels)), labels] + 1e-12).mean()


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.9, 0.1), (0.4, 0.3, 0.2, 0.1)])
@pytest.mark.parametrize("rows", [40, 103])
def test_folds_are_equal_and_stratified(shares, rows):
    labels = np.random.default_rng(0).choice(len(shares), rows, p=shares)
    folds = split_folds(np.eye(len(shares), dtype=np.float32)[labels], np.random.default_rng(1))
    assert np.ptp(np.bincount(folds, minlength=5)) <= 1
    for k in range(len(shares)):
        assert np.ptp(np.bincount(folds[labels == k], minlength=5)) <= 1


def test_folds_spread_values_evenly():
    values = np.random.default_rng(0).exponential(size=(100, 1)).astype(np.float32)
    folds = split_folds(values, np.random.default_rng(1))
    assert (np.bincount(folds) == 20).all()
    order = np.argsort(values[:, 0])
    for start in range(0, 100, 5):
        assert sorted(folds[order[start : start + 5]]) == [0, 1, 2, 3, 4]


def test_folds_depend_on_the_generator_alone():
    targets = np.eye(2, dtype=np.float32)[np.arange(50) % 2]
    one, same, other = (split_folds(targets, np.random.default_rng(s)) for s in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("rows", [2, 3, 4])
def test_fewer_rows_than_folds_are_held_out_one_by_one(rows):
    folds = split_folds(np.eye(2, dtype=np.float32)[np.arange(rows) % 2], np.random.default_rng(0))
    assert sorted(folds) == list(range(rows))


@pytest.mark.parametrize("units", [640, 20])
def test_every_row_is_scored_by_models_that_never_saw_it(units):
    """The scores of one repetition, drawn, solved and distilled by hand for one fold."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(2100, 6)), rng.integers(0, 2, 2100)
    evidence, targets = gathered(x, labels, units=units, seed=9)
    assert evidence.repeats == 1
    rows = Rows({f"c{i}": c.astype(np.float32) for i, c in enumerate(x.T)}, {}, labels)
    held = np.flatnonzero(evidence.folds == 3)
    out = np.flatnonzero(evidence.folds != 3)
    draw = np.random.default_rng([9, 0, 3])
    ready, emissions = emit_all(rows.take(out), targets[out], schema_of(rows.numbers, 2), 1, draw)
    if units < 640:
        emissions["floor"] = Match.of(emissions["floor"], ready, draw).distil(units).emission
    assert emissions["floor"].units.count == units
    for name, emission in emissions.items():
        expected = emission.scores(encode(emission.encoder, rows.take(held)))
        assert np.abs(evidence.scores[name][:, held] - expected).max() < 1e-6


@pytest.mark.usefixtures("_one_repetition")
def test_evidence_does_not_depend_on_the_workers():
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(80, 4)), rng.integers(0, 2, 80)
    one, three = (gathered(x, labels, workers=w)[0] for w in (1, 3))
    for name in one.scores:
        assert np.array_equal(one.scores[name], three.scores[name])


@pytest.mark.usefixtures("_one_repetition")
def test_pure_noise_with_more_columns_than_rows_scores_chance():
    """60 rows x 500 columns whose labels are coins: relevance and row pairs may not have seen a held-out label."""
    accuracies, holds = [], []
    for seed in range(3):
        rng = np.random.default_rng(100 + seed)
        x, labels = rng.normal(size=(60, 500)), (np.arange(60) < 30 + 3 * (seed % 3)).astype(int)
        evidence, targets = gathered(x, labels, seed=seed)
        verdict = judge(evidence, targets)
        score = classification_score(verdict.honest, labels, "")
        majority = max(labels.mean(), 1 - labels.mean())
        holds.append(score.low <= majority <= score.high)
        accuracies.append(score.value)
        # Nor does it look sure: a leak would push the log loss far below that of a coin.
        assert log_loss(verdict.honest, labels) > 0.6
    assert 0.4 < np.mean(accuracies) < 0.6
    assert sum(holds) >= 2


def test_repetitions_of_the_cross_validation_leak_nothing_either():
    rng = np.random.default_rng(77)
    x, labels = rng.normal(size=(60, 80)), np.arange(60) % 2
    evidence, targets = gathered(x, labels)
    assert evidence.repeats == 4
    score = classification_score(judge(evidence, targets).honest, labels, "")
    assert score.low <= 0.5 <= score.high


@pytest.mark.usefixtures("_one_repetition")
def test_pure_noise_of_values_explains_nothing():
    rng = np.random.default_rng(0)
    x, values = rng.normal(size=(60, 300)), rng.normal(size=60)
    evidence, targets = gathered(x, values, classes=0)
    assert ((judge(evidence, targets).honest - targets) ** 2).mean() > 0.85


@pytest.mark.usefixtures("_one_repetition")
def test_linear_tables_ship_the_linear_model_most_of_the_time():
    winners, gaps = [], []
    for seed in range(16):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(500, 6))
        labels = (x @ np.array([2, -1.5, 1, 0.5, 0, 0]) + rng.logistic(size=500) > 0).astype(int)
        evidence, targets = gathered(x, labels, seed=seed)
        winners.append(judge(evidence, targets).generator)
        floor = judge(evidence, targets, "floor")
        gaps.append(log_loss(floor.honest, labels) - log_loss(floor.linear, labels))
    assert winners.count("linear") >= 0.6 * len(winners)
    assert np.mean(gaps) > 0, "units are worth nothing here, so on average they cost likelihood"


@pytest.mark.usefixtures("_one_repetition")
@pytest.mark.parametrize("seed", range(3))
def test_a_table_that_no_line_splits_ships_the_floor(seed):
    x = np.random.default_rng(seed).normal(size=(200, 3))
    labels = (x[:, 0] * x[:, 1] > 0).astype(int)
    verdict = judge(*gathered(x, labels, seed=seed))
    assert verdict.generator == "floor"
    assert log_loss(verdict.honest, labels) < log_loss(verdict.linear, labels) - 0.2


@pytest.mark.usefixtures("_one_repetition")
def test_what_ships_is_never_less_likely_than_the_linear_model():
    shapes = {
        "noise": lambda x, rng: rng.integers(0, 2, len(x)),
        "line": lambda x, rng: (x[:, 0] + 0.3 * rng.normal(size=len(x)) > 0).astype(int),
        "ring": lambda x, rng: ((x[:, :2] ** 2).sum(1) > 1.4).astype(int),
        "three": lambda x, rng: np.digitize(x[:, 0] + 0.5 * x[:, 1] ** 2, [-0.3, 0.6]),
    }
    for name, shape in shapes.items():
        rng = np.random.default_rng(3)
        x = rng.normal(size=(150, 4))
        labels = shape(x, rng)
        evidence, targets = gathered(x, labels, classes=int(labels.max()) + 1)
        verdict = judge(evidence, targets)
        shipped, line = log_loss(verdict.honest, labels), log_loss(verdict.linear, labels)
        assert shipped <= line + 0.01, name
        if name == "ring":
            assert shipped < line - 0.2


@pytest.mark.usefixtures("_one_repetition")
def test_the_guard_may_be_overruled():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2))
    evidence, targets = gathered(x, (x[:, 0] * x[:, 1] > 0).astype(int))
    assert judge(evidence, targets).generator == "floor"
    verdict = judge(evidence, targets, "linear")
    assert verdict.generator == "linear"
    assert np.array_equal(verdict.honest, verdict.linear)


def test_a_fold_s_blend_does_not_see_the_fold():
    """Labels of one fold that are turned round change the honest scores of the others alone."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 100)
    folds = (np.arange(100) % 5).astype(np.int32)
    signal = np.eye(2)[labels]
    scores = {g: (q * signal + rng.normal(size=(2, 100, 2))).astype(np.float32) for g, q in (("floor", 2.0), ("linear", 1.0))}
    evidence = Evidence(scores, folds, 1)
    turned = np.where(folds == 2, 1 - labels, labels)
    before = judge(evidence, np.eye(2, dtype=np.float32)[labels], "floor").honest
    after = judge(evidence, np.eye(2, dtype=np.float32)[turned], "floor").honest
    assert np.array_equal(before[folds == 2], after[folds == 2])
    assert not np.array_equal(before[folds != 2], after[folds != 2])
