"""Children distilled from wide ones: a least squares match of what the wide one says, on rows that a table could have."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import log_softmax, rel_entr
from scipy.special import softmax as scipy_softmax
from sklearn.linear_model import Ridge

from modelgpt_edge.data.table import Rows, Table
from modelgpt_edge.parameters import distil, evidence
from modelgpt_edge.parameters.distil import FAITHFUL, PENALTY, SURE, Match, cross_rows
from modelgpt_edge.parameters.emissions import emit_all
from modelgpt_edge.parameters.generate import generate
from modelgpt_edge.parameters.prepare import Standard, classification_targets, encode, prepare
from modelgpt_edge.schema import Column, Schema


def rows_of(classes, rows=200, seed=0):
    """Numbers with gaps, a date and words; a label that no line tells, of classes or a value."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.normal(size=(3, rows)).astype(np.float32)
    word = rng.choice(np.array(["red", "green", "blue"], object), rows)
    signal = a * b + 0.7 * (word == "red") + 0.2 * rng.normal(size=rows)
    labels = np.digitize(signal, np.quantile(signal, np.arange(1, classes) / classes)).astype(np.int32) if classes else signal
    numbers = {"a": a, "b": b, "c": np.where(rng.random(rows) < 0.2, np.nan, c).astype(np.float32)}
    numbers["day"] = rng.integers(9_000, 12_000, rows).astype(np.float32)
    return Rows(numbers, {"word": word, "other": rng.choice(np.array(["x", "y"], object), rows)}, labels)


def schema_of(rows, classes):
    columns = (
        *(Column(n, "date" if n == "day" else "number") for n in rows.numbers),
        *(Column(n, "category") for n in rows.words),
    )
    kind = "classification" if classes else "regression"
    return Schema(columns, Column("y", "category"), "", kind, "", tuple(f"k{i}" for i in range(classes)))


def targets_of(rows, classes):
    return classification_targets(rows.labels, classes) if classes else Standard.of(rows.labels).targets(rows.labels)


def matched(rows, classes, draws=1, seed=0):
    """A match of what the draws for rows say."""
    rng = np.random.default_rng(seed)
    ready, emissions = emit_all(rows, targets_of(rows, classes), schema_of(rows, classes), draws, rng)
    return Match.of(emissions["floor"], ready, rng), ready


def table_of(rows, classes):
    return Table(schema_of(rows, classes), len(rows), rows, None, (), None, None)


def features_of(emission, encoded):
    return np.concatenate([encoded, emission.units.activate(encoded)], axis=1).astype(np.float64)


def scores_of(emission, encoded):
    """Scores (N, K) of the one head that a small child's kinds of heads mean, in float64."""
    (heads,) = emission.heads
    scores = features_of(emission, encoded) @ heads.weight.astype(np.float64) + heads.bias[:, None]
    return scores.mean(0)


def explained(mask, crossed, encoded):
    """Whether each crossed row is one of the rows, but for whole columns (N, C of `mask`) that are those of one other row."""
    found = []
    for row in crossed:
        same = np.stack([(encoded[:, own] == row[own]).all(1) for own in mask], axis=1)
        missing = ~same
        found.append(not (missing.astype(int) @ missing.T.astype(int)).all())  # two rows that miss no column together
    return np.array(found)


def test_crossed_rows_are_whole_columns_of_two_rows_of_the_table():
    rows = rows_of(2)
    ready = prepare(rows, targets_of(rows, 2), schema_of(rows, 2))
    crossed, _ = cross_rows(ready.encoded, ready, 300, np.random.default_rng(1))
    owners = np.array(ready.encoder.owners())
    names = list(dict.fromkeys(owners))
    assert set(names) == {"a", "b", "c", "day", "word", "other"}
    assert crossed.shape == (300, ready.encoder.width)
    blocks = [owners == name for name in names]
    assert explained(blocks, crossed, ready.encoded).all()
    # Column by column of the encoded ones it would not be so: this test can tell.
    rng = np.random.default_rng(2)
    scattered = np.where(rng.random(crossed.shape) < 0.5, ready.encoded[rng.integers(0, 200, 300)], ready.encoded[:1])
    assert explained(blocks, scattered, ready.encoded).mean() < 0.1
    for name in ("word", "other"):
        assert set(crossed[:, owners == name].sum(1)) == {1.0}, "a category stays one"


def test_a_crossed_row_takes_some_columns_of_a_row_that_lies_near():
    numbers = np.random.default_rng(0).normal(size=(20, 300)).astype(np.float32)
    rows = Rows({f"c{i}": column for i, column in enumerate(numbers)}, {}, np.arange(300) % 2)
    ready = prepare(rows, targets_of(rows, 2), schema_of(rows, 2))
    crossed = cross_rows(ready.encoded, ready, 2_000, np.random.default_rng(1))[0][:, :20]
    raw = ready.encoded[:, :20]
    same = (crossed[:, None] == raw).mean(2)  # (2000, 300): the share of columns that a crossed row has of each row
    share = np.sort(same, axis=1)
    assert np.allclose(share[:, -1] + share[:, -2], 1)
    assert share[:, -2].mean() == pytest.approx(distil.SWAPPED, abs=0.03)
    one, two = np.argsort(same, axis=1)[:, -2:].T
    both = share[:, -2] > 0
    root = np.sqrt(ready.relevance)
    apart = (((ready.encoded[one] - ready.encoded[two]) * root) ** 2).sum(1)[both]
    rng = np.random.default_rng(3)
    usual = (((ready.encoded - ready.encoded[rng.permutation(300)]) * root) ** 2).sum(1)
    assert apart.mean() < 0.75 * usual.mean()


def test_the_match_is_made_on_the_training_rows_first_and_on_what_the_wide_one_says_there():
    rows = rows_of(3)
    match, ready = matched(rows, 3, draws=2)
    assert match.rows == 200
    assert np.array_equal(match.encoded[:200], ready.encoded)
    assert len(match.encoded) == 200 + distil.CROSSED
    np.testing.assert_allclose(match.scores, match.wide.scores(match.encoded), atol=2e-3)
    p = scipy_softmax(match.scores.mean(0).astype(np.float64), axis=1)
    np.testing.assert_allclose(match.weight, (p * (1 - p)).max(1) + SURE, rtol=1e-4)


def test_of_many_rows_some_are_matched_on(monkeypatch):
    monkeypatch.setattr(distil, "MOST_ROWS", 50)
    match, ready = matched(rows_of(2), 2)
    assert match.rows == 50
    real = {row.tobytes() for row in ready.encoded}
    assert len({row.tobytes() for row in match.encoded[:50]} & real) == 50


@pytest.mark.parametrize("classes", [0, 2, 3])
@pytest.mark.parametrize("units", [20, 160])
def test_the_head_is_the_weighted_least_squares_match_of_scikit_learn(classes, units):
    match, _ = matched(rows_of(classes), classes)
    child = match.distil(units).emission
    features = features_of(child, match.encoded)
    wanted = match.scores.transpose(1, 0, 2).reshape(len(features), -1).astype(np.float64)
    weight = match.weight.astype(np.float64) / match.weight.sum(dtype=np.float64)
    mean = weight @ features
    total = float(weight @ ((features - mean) ** 2).sum(1))  # the trace of the weighted covariance
    peer = Ridge(alpha=PENALTY * total, solver="svd").fit(features, wanted, sample_weight=weight)
    (heads,) = child.heads
    got = features @ heads.weight.astype(np.float64) + heads.bias[:, None].astype(np.float64)
    got = got.transpose(1, 0, 2).reshape(wanted.shape)
    theirs = peer.predict(features).reshape(wanted.shape)

    def miss(said):
        return float(weight @ ((said - wanted) ** 2).sum(1))

    # As close to the wide one as theirs is, and the same but for the rounding of float32.
    assert miss(got) < 1.0001 * miss(theirs)
    assert np.sqrt(((got - theirs) ** 2).mean()) < 1e-3 * wanted.std()


@pytest.mark.parametrize("classes", [0, 2, 4])
def test_with_next_to_no_penalty_a_child_of_all_the_units_says_what_the_wide_one_says(classes, monkeypatch):
    monkeypatch.setattr(distil, "PENALTY", 1e-7)
    match, _ = matched(rows_of(classes), classes)
    child = match.distil(640)
    assert child.emission.units.count == 640
    fresh = encode(match.wide.encoder, rows_of(classes, seed=9))
    wide, small = match.wide.scores(fresh).mean(0), scores_of(child.emission, fresh)
    assert child.divergence < FAITHFUL / 10
    assert np.sqrt(((wide - small) ** 2).mean()) < 0.02 * wide.std()


@pytest.mark.parametrize("classes", [0, 2, 4])
def test_the_divergence_is_what_it_says_and_falls_with_the_size(classes):
    match, ready = matched(rows_of(classes), classes, draws=2)
    wide = match.wide.scores(ready.encoded).mean(0).astype(np.float64)
    found = []
    for units in (0, 20, 80, 320, 1280):
        child = match.distil(units)
        small = scores_of(child.emission, ready.encoded)
        if classes:
            p, q = scipy_softmax(wide, axis=1), scipy_softmax(small, axis=1)
            expected = rel_entr(p, q).sum(1).mean()
            assert expected == pytest.approx((p * (log_softmax(wide, axis=1) - log_softmax(small, axis=1))).sum(1).mean())
        else:
            expected = ((wide - small) ** 2).mean() / wide.var()
        assert child.divergence == pytest.approx(expected, rel=1e-2, abs=1e-6)
        assert child.faithful == (child.divergence <= FAITHFUL)
        found.append(child.divergence)
    assert found == sorted(found, reverse=True)
    assert found[0] > 10 * found[2]


def test_more_worthy_units_are_kept_than_by_chance():
    """With worths turned round the child is far worse."""
    match, _ = matched(rows_of(3), 3)
    turned = replace(match, worth=match.worth.max() - match.worth)
    assert match.distil(40).divergence < 0.5 * turned.distil(40).divergence


def test_distilling_never_sees_a_label():
    """Labels that are shuffled once the wide one was emitted change no bit of its child."""
    children = []
    for shuffle in (False, True):
        rows = rows_of(3)
        targets, rng = targets_of(rows, 3), np.random.default_rng(0)
        ready, emissions = emit_all(rows, targets, schema_of(rows, 3), 1, rng)
        if shuffle:
            order = np.random.default_rng(5).permutation(len(rows))
            rows.labels[:] = rows.labels[order]
            targets[:] = targets[order]
        children.append(Match.of(emissions["floor"], ready, rng).distil(40).emission)
    one, two = children
    assert all(np.array_equal(value, vars(two.units)[name]) for name, value in vars(one.units).items())
    assert np.array_equal(one.heads[0].weight, two.heads[0].weight)
    assert np.array_equal(one.heads[0].bias, two.heads[0].bias)


def test_the_same_generator_gives_the_same_child_whatever_was_distilled_before():
    first, second = matched(rows_of(2), 2)[0], matched(rows_of(2), 2)[0]
    second.distil(320)
    one, two = first.distil(40), second.distil(40)
    assert np.array_equal(one.emission.heads[0].weight, two.emission.heads[0].weight)
    assert one.divergence == two.divergence


@pytest.fixture
def _one_repetition(monkeypatch):
    monkeypatch.setattr(evidence, "repeats_for", lambda *_: 1)


SIZES = (20, 40, 80, 160, 320, 640)


@pytest.mark.usefixtures("_one_repetition")
@pytest.mark.parametrize("classes", [0, 2])
def test_the_smallest_faithful_size_is_generated(classes):
    rows = rows_of(classes)
    match, _ = matched(rows, classes, draws=2, seed=3)
    divergences = [match.distil(units).divergence for units in SIZES]
    smallest = next(i for i, divergence in enumerate(divergences) if divergence <= FAITHFUL)
    assert smallest > 0, "the smallest of all would tell nothing"
    made = generate(table_of(rows, classes), SIZES, 2, seed=3, generator="floor")
    assert made.child.units.count == SIZES[smallest]
    assert made.divergence == pytest.approx(divergences[smallest], rel=0.05)


@pytest.mark.usefixtures("_one_repetition")
@pytest.mark.parametrize(
    ("units", "count"), [((20,), 20), ((40,), 40), ((640,), 640), ((1280,), 1280), ((0,), 0), ((20, 40), 40)]
)
def test_exactly_the_size_asked_for_is_generated_faithful_or_not_and_the_last_where_none_is(units, count, monkeypatch):
    monkeypatch.setattr(distil, "FAITHFUL", -1.0)
    made = generate(table_of(rows_of(2), 2), units, 2, seed=0, generator="floor")
    assert made.child.units.count == count
    assert (made.divergence == 0) == (count in (0, 1280)), (
        "all units of the draws are the wide one itself, and no units the line"
    )


def odd(kind, classes):
    """Tables of shapes that are seldom: a name, and typed rows."""
    rng = np.random.default_rng(4)
    count = 2 if kind == "two rows" else 60
    labels = (np.arange(count) % classes).astype(np.int32) if classes else rng.normal(size=count)
    x = rng.normal(size=(3, count)).astype(np.float32) + labels.astype(np.float32)
    words = {f"w{i}": rng.choice(np.array(["p", "q", "r"], object), count) for i in range(3)}
    numbers = {
        "one column": {"a": x[0]},
        "constant columns": {"a": np.ones(count, np.float32), "b": np.zeros(count, np.float32)},
        "two rows": {"a": x[0], "b": x[1]},
        "words alone": {},
        "wide": {f"c{i}": c for i, c in enumerate(rng.normal(size=(400, count)).astype(np.float32))},
        "gaps alone": {"a": np.full(count, np.nan, np.float32), "b": x[1]},
        "huge values": {"a": x[0] * 1e30, "b": x[1]},
    }[kind]
    return Rows(numbers, words if kind == "words alone" else {}, labels)


@pytest.mark.usefixtures("_one_repetition")
@pytest.mark.parametrize("classes", [0, 2])
@pytest.mark.parametrize(
    "kind", ["one column", "constant columns", "two rows", "words alone", "wide", "gaps alone", "huge values"]
)
def test_odd_tables_are_distilled_too(kind, classes):
    rows = odd(kind, classes)
    made = generate(table_of(rows, classes), (20,), 1, seed=0, generator="floor")
    assert made.child.units.count == 20
    assert np.isfinite(made.divergence)
    assert made.divergence >= 0
    outputs = made.child.outputs(encode(made.child.encoder, rows))
    assert outputs.shape == (len(rows), max(1, classes))
    assert np.isfinite(outputs).all()
