"""Scores of the template's sizes: held out, paired row by row, and able to tell where units are worth their bytes."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from modelgpt_edge.parameters import widths
from modelgpt_edge.parameters.distil import Match
from modelgpt_edge.parameters.evidence import Evidence, judge, split_folds
from modelgpt_edge.parameters.floor import emit_floor, emit_linear
from modelgpt_edge.parameters.prepare import classification_targets, encode, prepare
from modelgpt_edge.parameters.units import DRAW
from modelgpt_edge.parameters.widths import LINEAR, score_widths
from modelgpt_edge.request import Request
from modelgpt_edge.table_pipeline import understand

MANY, FEW = 160, 20
SIZES = (MANY, FEW, LINEAR)


def table_of(kind, rows=400, seed=0):
    """A table whose label is an XOR of two columns or of three, linear in them, an amount, or noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 4))
    signal = {
        "xor": x[:, 0] * x[:, 1],
        "xor of three": x[:, 0] * x[:, 1] * x[:, 2],
        "linear": x[:, 0] + x[:, 1] + 0.5 * rng.normal(size=rows),
        "noise": rng.normal(size=rows),
        "amount": 1000 + 50 * np.sin(2 * x[:, 0]) * x[:, 1],
    }[kind]
    label = signal if kind == "amount" else np.where(signal > 0, "yes", "no")
    return {**{f"c{i}": column for i, column in enumerate(x.T)}, "y": label}, x, label


def read(kind, rows=400, table=0):
    """Such a table as the pipeline reads it."""
    data, _, _ = table_of(kind, rows, table)
    return understand(Request("predict y", data, label="y", targets=("x86",))).table


def scored_anew(kind, rows=400, sizes=SIZES, seed=0):
    return score_widths(read(kind, rows), sizes, seed)


scored = functools.cache(scored_anew)


def standard_errors(worse, better):
    """By how many standard errors the paired mean loss of one is above the other's."""
    difference = worse.losses - better.losses
    return float(difference.mean() / (difference.std(ddof=1) / np.sqrt(len(difference))))


def test_units_are_told_from_none_where_the_label_needs_them():
    found = scored("xor")
    assert list(found) == list(SIZES)
    assert standard_errors(found[LINEAR], found[MANY]) > 5
    assert found[MANY].score.value > 0.85 > 0.65 > found[LINEAR].score.value


def test_where_the_label_is_linear_no_units_are_worth_an_error():
    """Of four tables, whose mean of standard errors has the deviation 1 / 2 where units are worth nothing."""
    tables = [read("linear", table=table) for table in range(4)]
    found = [score_widths(table, (MANY, LINEAR), 0) for table in tables]
    assert np.mean([standard_errors(f[LINEAR], f[MANY]) for f in found]) < 1 / 2


def test_sizes_are_scored_as_they_are_though_the_linear_model_is_likelier():
    found = scored("linear")
    assert not np.array_equal(found[MANY].losses, found[LINEAR].losses)
    assert not np.array_equal(found[MANY].losses, found[FEW].losses)


def test_no_row_is_scored_by_a_model_that_has_seen_it():
    """On pure noise a held-out loss is above that of knowing nothing; in-sample, 160 units would be far below it."""
    for size, found in scored("noise", 200).items():
        assert found.losses.mean() > np.log(2) - 0.01, size


@pytest.mark.parametrize("kind", ["xor", "linear"])
def test_losses_and_scores_are_of_the_same_predictions(kind):
    for found in scored(kind).values():
        assert found.losses.shape == (400,)
        assert found.losses.mean() == pytest.approx(found.score.others["log_loss"], rel=1e-4)
        # A row whose true class has more than half of the probability loses less than log 2, and is right.
        assert found.score.value == pytest.approx((found.losses < np.log(2)).mean())
        assert found.score.metric == "accuracy"
        assert found.score.low < found.score.value < found.score.high


def test_the_linear_size_is_about_as_good_as_scikit_learn_s():
    _, x, label = table_of("linear")
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    theirs = cross_val_predict(LogisticRegression(), x, label, cv=folds, method="predict_proba")
    loss = -np.log(theirs[np.arange(len(label)), (label == "yes").astype(int)]).mean()
    assert scored("linear")[LINEAR].losses.mean() == pytest.approx(loss, rel=0.1)


def test_values_are_scored_by_squared_error_in_deviations():
    found = scored("amount")
    for size in SIZES:
        assert 1 - found[size].losses.mean() == pytest.approx(found[size].score.value, abs=1e-3)
        assert found[size].score.metric == "r2"
    assert standard_errors(found[LINEAR], found[MANY]) > 5


def test_a_size_s_score_depends_on_no_other_size_and_the_seed_alone():
    together, alone, again = scored("xor"), scored("xor", sizes=(FEW,)), scored_anew("xor")
    assert np.array_equal(together[FEW].losses, alone[FEW].losses)
    assert all(np.array_equal(together[size].losses, again[size].losses) for size in SIZES)
    assert not np.array_equal(together[MANY].losses, scored("xor", seed=1)[MANY].losses)


def float64_scores(emission, encoded):
    """Scores (H, N, K) of one draw's model, or of what was distilled from it, in float64."""
    (heads,) = emission.heads
    features = np.concatenate([encoded, emission.units.activate(encoded)], axis=1).astype(np.float64)
    return features @ heads.weight.astype(np.float64) + heads.bias[:, None]


@pytest.mark.parametrize("units", [20, 160, 640])
def test_a_size_is_scored_as_what_is_distilled_from_one_draw_of_the_other_rows(units):
    table = read("xor", 120)
    targets = classification_targets(table.sample.labels, 2)
    folds = split_folds(targets, np.random.default_rng(0))
    held = {"floor": np.zeros((2, 120, 2), np.float32), "linear": np.zeros((2, 120, 2), np.float32)}
    for fold in range(5):
        out, rows = np.flatnonzero(folds != fold), table.sample.take(folds == fold)
        ready = prepare(table.sample.take(out), targets[out], table.schema)
        rng = np.random.default_rng([0, fold])
        emission = emit_floor(ready, targets[out], DRAW, 1, rng)
        if units < 640:
            emission = Match.of(emission, ready, rng).distil(units).emission
        assert emission.units.count == units
        held["floor"][:, folds == fold] = float64_scores(emission, encode(ready.encoder, rows))
        held["linear"][:, folds == fold] = float64_scores(emit_linear(ready, targets[out]), encode(ready.encoder, rows))
    logits = judge(Evidence(held, folds, 1), targets, "floor").honest.astype(np.float64)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = score_widths(table, (units, 80), 0)
    assert list(found) == [units, 80]
    np.testing.assert_allclose(found[units].losses, -np.log((probabilities * targets).sum(1)), rtol=1e-4, atol=1e-5)
    assert found[units].score.value == pytest.approx((logits.argmax(1) == table.sample.labels).mean())
    assert not np.allclose(found[units].losses, found[80].losses, rtol=0.01)


def test_more_units_are_better_where_units_are_worth_anything():
    found = scored("xor of three", sizes=(640, FEW))
    assert standard_errors(found[FEW], found[640]) > 2


def test_of_many_rows_some_are_compared(monkeypatch):
    monkeypatch.setattr(widths, "MOST_ROWS", 150)
    found = scored_anew("xor")
    assert {len(f.losses) for f in found.values()} == {150}
    assert found[MANY].score.rows == 150


def test_a_large_table_is_judged_on_its_held_rows_by_models_of_the_others():
    whole = read("xor", 600)
    split = replace(whole, sample=whole.sample.take(slice(0, 400)), held=whole.sample.take(slice(400, 600)))
    found = score_widths(split, SIZES, 0)
    assert {len(f.losses) for f in found.values()} == {200}
    assert standard_errors(found[LINEAR], found[MANY]) > 3


def test_progress_ends_at_the_whole():
    shares = []
    score_widths(read("linear", 60), SIZES, 0, shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
