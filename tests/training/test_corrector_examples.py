"""What the corrector reads: cells are the encoder's columns, and context rows' scores are those of a floor without them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits

from modelgpt_edge.parameters.cells import SLOTS, cells
from modelgpt_edge.parameters.encoder import fit_encoder
from modelgpt_edge.parameters.floor import emit_floor, group_scale
from modelgpt_edge.parameters.left_out import floor_scores
from modelgpt_edge.parameters.prepare import Prepared
from modelgpt_edge.parameters.relevance import relevance
from modelgpt_edge.parameters.ridge import classification_head, decompose
from modelgpt_edge.parameters.units import Widths, draw_units
from modelgpt_edge.training.examples import draw_named, example
from modelgpt_edge.training.priors import Drawn, draw_table

SMALL = Widths().scaled(40)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    with threadpool_limits(1, "blas"):
        yield


def _columns(rng: np.random.Generator, rows: int):
    numbers = {name: rng.normal(size=rows).astype(np.float32) for name in ("plain", "gaps")}
    numbers["flag"] = rng.integers(0, 2, rows).astype(np.float32)
    numbers["day"] = rng.integers(18_000, 20_000, rows).astype(np.float32)
    numbers["gaps"][::5] = np.nan
    few, many = rng.choice(["red", "green", ""], rows), rng.choice([f"w{i}" for i in range(14)], rows)
    return numbers, {"few": few.astype(object), "many": many.astype(object)}


def test_cells_are_the_encoder_s_columns():
    numbers, words = _columns(np.random.default_rng(0), 200)
    encoder = fit_encoder(numbers, ["day"], words)
    encoded = encoder.encode(*encoder.pack(numbers, words, 200))
    table = cells(encoder, encoded)
    assert table.shape == (200, 6, SLOTS) == (200, 6, 13)
    # The columns that each raw column owns, in the encoder's order: value, waves, twin, those of waves, flag.
    owned = {name: [i for i, owner in enumerate(encoder.owners()) if owner == name] for name in (*numbers, *words)}
    waves = len(encoder.wave_column)
    expected = {
        "plain": (owned["plain"][0], owned["plain"][1], None),
        "gaps": (owned["gaps"][0], owned["gaps"][1], owned["gaps"][2]),
        "flag": (owned["flag"][0], owned["flag"][0], None),
        "day": (owned["day"][0], owned["day"][1 + waves], None),
    }
    assert [len(owned[name]) for name in ("plain", "gaps", "flag")] == [2, 3, 1]
    for place, (value, twin, flag) in enumerate(expected.values()):
        assert np.array_equal(table[:, place, 0], encoded[:, value])
        assert np.array_equal(table[:, place, 1], encoded[:, twin])
        assert np.array_equal(table[:, place, 2], np.zeros(200) if flag is None else encoded[:, flag])
        assert not table[:, place, 3:].any()
    assert np.array_equal(table[:, 1, 2], np.isnan(numbers["gaps"]).astype(np.float32))


def test_named_columns_are_marked_in_every_row():
    numbers, words = _columns(np.random.default_rng(0), 200)
    encoder = fit_encoder(numbers, ["day"], words)
    encoded = encoder.encode(*encoder.pack(numbers, words, 200))
    plain, named = cells(encoder, encoded), cells(encoder, encoded, ["gaps", "many", "of another table"])
    assert (named[:, [1, 5], 3] == 1).all()
    named[:, [1, 5], 3] = 0
    assert np.array_equal(named, plain)


def test_named_columns_are_mostly_those_that_matter():
    numbers = {name: np.arange(50, dtype=np.float32) ** power for power, name in enumerate("abcde", start=1)}
    encoder = fit_encoder(numbers, [], {})
    weight = np.where(np.array(encoder.owners()) == "c", 0.96, 0.01 / 2)
    rng = np.random.default_rng(0)
    drawn = [draw_named(encoder, weight, rng) for _ in range(2_000)]
    counts = {name: sum(name in d for d in drawn) for name in "abcde"}
    assert all(1 <= len(d) <= 5 for d in drawn)
    assert counts["c"] > 1_500
    assert min(counts.values()) > 100


def test_one_hot_blocks_stay_whole_and_rare_words_share_a_slot():
    numbers, words = _columns(np.random.default_rng(1), 200)
    encoder = fit_encoder(numbers, [], words)
    table = cells(encoder, encoder.encode(*encoder.pack(numbers, words, 200)))
    assert not table[:, 4:, :4].any()
    for place, (name, vocabulary) in enumerate(zip(encoder.words, encoder.vocabularies), start=4):
        for row, word in enumerate(words[name]):
            expected = np.zeros(9)
            if word in vocabulary:
                expected[min(vocabulary.index(word), 8)] = 1
            assert np.array_equal(table[row, place, 4:], expected)
    assert len(encoder.vocabularies[1]) > 9


def test_leave_one_out_scores_match_refits_without_the_row():
    rng = np.random.default_rng(2)
    encoded = rng.normal(size=(40, 5)).astype(np.float32)
    places = (encoded[:, 0] + encoded[:, 1] * encoded[:, 2] + rng.normal(size=40) * 0.3 > 0).astype(int) + (encoded[:, 3] > 1)
    labels = np.eye(3, dtype=np.float32)[places]
    scores = floor_scores(encoded, labels, encoded[:0], np.random.default_rng(5), SMALL)
    # The same units, then one refit a row by scikit-learn in float64.
    units = draw_units(encoded, labels, relevance(encoded, labels), SMALL, 1, np.random.default_rng(5))
    features = np.concatenate([encoded, units.activate(encoded)], axis=1)
    features = (features * group_scale(features, units, SMALL.dense)).astype(np.float64)
    head = classification_head(decompose(features.astype(np.float32), labels))
    refits = []
    for row in range(40):
        others = np.arange(40) != row
        fitted = Ridge(alpha=head.penalty).fit(features[others], labels[others].astype(np.float64))
        refits.append(fitted.predict(features[row : row + 1])[0])
    # Logits are those predictions times one factor, the head's temperature.
    full = Ridge(alpha=head.penalty).fit(features, labels.astype(np.float64))
    factor = np.linalg.norm(decompose(features.astype(np.float32), labels).right @ head.coordinates) / np.linalg.norm(
        full.coef_
    )
    np.testing.assert_allclose(scores, factor * np.array(refits), rtol=1e-3, atol=2e-3)


def test_query_scores_are_those_of_the_floor_that_ships():
    rng = np.random.default_rng(3)
    encoded, query = rng.normal(size=(90, 4)).astype(np.float32), rng.normal(size=(20, 4)).astype(np.float32)
    labels = np.eye(2, dtype=np.float32)[(encoded[:, 0] > encoded[:, 1]).astype(int)]
    weight = relevance(encoded, labels)
    scores = floor_scores(encoded, labels, query, np.random.default_rng(4), SMALL)[90:]
    shipped = emit_floor(Prepared(None, encoded, weight), labels, SMALL, 1, np.random.default_rng(4))
    np.testing.assert_allclose(scores, shipped.scores(query).mean(0), rtol=1e-4, atol=1e-4)


def test_query_rows_leave_the_context_as_it_is():
    table = draw_table(np.random.default_rng(6), 120, 6, 3)
    query = np.random.default_rng(7).permutation(120)[80:]
    numbers, codes, targets = table.numbers.copy(), table.codes.copy(), table.targets.copy()
    numbers[query], codes[query], targets[query] = 1e6, -1, 0
    one = example(table, 80, np.random.default_rng(7))
    other = example(Drawn(numbers, codes, table.sizes, targets, 3), 80, np.random.default_rng(7))
    for name in ("cells", "scores", "labels"):
        assert np.array_equal(getattr(one, name)[:80], getattr(other, name)[:80])
        assert not np.array_equal(getattr(one, name)[80:], getattr(other, name)[80:])


def test_a_class_without_a_context_row_makes_no_example():
    table = draw_table(np.random.default_rng(8), 60, 4, 2)
    targets = np.zeros(60, np.int32)
    targets[-1] = 1
    lonely = Drawn(table.numbers, table.codes, table.sizes, targets, 2)
    made = [example(lonely, 30, np.random.default_rng(seed)) for seed in range(8)]
    assert any(e is None for e in made)
    assert all(e is None or e.labels[:30].any(0).all() for e in made)


def test_cells_and_shards_need_no_torch():
    code = (
        "import sys, modelgpt_edge.parameters.cells, modelgpt_edge.training.shards, modelgpt_edge.training.ahead; "
        "print([m for m in ('torch', 'sklearn', 'scipy', 'pandas') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
