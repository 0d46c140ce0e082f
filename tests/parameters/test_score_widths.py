"""Scores of the template's widths: held out, paired row by row, and able to tell where units are worth their bytes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from modelgpt_edge.parameters import widths
from modelgpt_edge.parameters.widths import score_widths
from modelgpt_edge.pipeline import understand
from modelgpt_edge.request import Request

UNITS = (160, 20, 0)


def table_of(kind, rows=400, seed=0):
    """A table whose label is an XOR of two columns, linear in them, an amount, or noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 4))
    signal = {
        "xor": x[:, 0] * x[:, 1],
        "linear": x[:, 0] + x[:, 1] + 0.5 * rng.normal(size=rows),
        "noise": rng.normal(size=rows),
        "amount": 1000 + 50 * np.sin(2 * x[:, 0]) * x[:, 1],
    }[kind]
    label = signal if kind == "amount" else np.where(signal > 0, "yes", "no")
    return {**{f"c{i}": column for i, column in enumerate(x.T)}, "y": label}, x, label


def scored(kind, rows=400, units=UNITS, seed=0):
    data, _, _ = table_of(kind, rows)
    return score_widths(understand(Request("predict y", data, label="y", targets=("x86",))).table, units, seed)


def standard_errors(worse, better):
    """By how many standard errors the paired mean loss of one is above the other's."""
    difference = worse.losses - better.losses
    return float(difference.mean() / (difference.std(ddof=1) / np.sqrt(len(difference))))


def test_units_are_told_from_none_where_the_label_needs_them():
    found = scored("xor")
    assert list(found) == list(UNITS)
    assert standard_errors(found[0], found[160]) > 5
    assert found[160].score.value > 0.85 > 0.65 > found[0].score.value


def test_where_the_label_is_linear_no_units_are_worth_an_error():
    found = scored("linear")
    assert standard_errors(found[0], found[160]) < 1


def test_widths_are_scored_as_they_are_though_the_linear_model_is_likelier():
    found = scored("linear")
    assert not np.array_equal(found[160].losses, found[0].losses)
    assert not np.array_equal(found[160].losses, found[20].losses)


def test_no_row_is_scored_by_a_model_that_has_seen_it():
    """On pure noise a held-out loss is above that of knowing nothing; in-sample, 160 units would be far below it."""
    for width, found in scored("noise", 200).items():
        assert found.losses.mean() > np.log(2) - 0.01, width


@pytest.mark.parametrize("kind", ["xor", "linear"])
def test_losses_and_scores_are_of_the_same_predictions(kind):
    for found in scored(kind).values():
        assert found.losses.shape == (400,)
        assert found.losses.mean() == pytest.approx(found.score.others["log_loss"], rel=1e-4)
        # A row whose true class has more than half of the probability loses less than log 2, and is right.
        assert found.score.value == pytest.approx((found.losses < np.log(2)).mean())
        assert found.score.metric == "accuracy"
        assert found.score.low < found.score.value < found.score.high


def test_the_linear_width_is_about_as_good_as_scikit_learn_s():
    _, x, label = table_of("linear")
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    theirs = cross_val_predict(LogisticRegression(), x, label, cv=folds, method="predict_proba")
    loss = -np.log(theirs[np.arange(len(label)), (label == "yes").astype(int)]).mean()
    assert scored("linear")[0].losses.mean() == pytest.approx(loss, rel=0.1)


def test_values_are_scored_by_squared_error_in_deviations():
    found = scored("amount")
    for width in UNITS:
        assert 1 - found[width].losses.mean() == pytest.approx(found[width].score.value, abs=1e-3)
        assert found[width].score.metric == "r2"
    assert standard_errors(found[0], found[160]) > 5


def test_a_width_s_score_depends_on_no_other_width_and_the_seed_alone():
    together, alone, again = scored("xor"), scored("xor", units=(20,)), scored("xor")
    assert np.array_equal(together[20].losses, alone[20].losses)
    assert all(np.array_equal(together[u].losses, again[u].losses) for u in UNITS)
    assert not np.array_equal(together[160].losses, scored("xor", seed=1)[160].losses)


def test_of_many_rows_some_are_compared(monkeypatch):
    monkeypatch.setattr(widths, "MOST_ROWS", 150)
    found = scored("xor")
    assert {len(f.losses) for f in found.values()} == {150}
    assert found[160].score.rows == 150


def test_a_large_table_is_judged_on_its_held_rows_by_models_of_the_others():
    data, _, _ = table_of("xor", 600)
    whole = understand(Request("predict y", data, label="y", targets=("x86",))).table
    split = replace(whole, sample=whole.sample.take(slice(0, 400)), held=whole.sample.take(slice(400, 600)))
    found = score_widths(split, UNITS, 0)
    assert {len(f.losses) for f in found.values()} == {200}
    assert standard_errors(found[0], found[160]) > 3


def test_progress_ends_at_the_whole():
    data, _, _ = table_of("linear", 60)
    shares = []
    score_widths(understand(Request("predict y", data, label="y", targets=("x86",))).table, UNITS, 0, shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
