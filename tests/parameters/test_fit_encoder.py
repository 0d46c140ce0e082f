"""The encoder's tables against numpy and pandas, and what becomes of gaps, ties, infinities, dates and words."""

import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, rankdata, shapiro

from modelgpt_edge.parameters.encoder import KNOTS, VOCABULARY, YEAR_DAYS, fit_encoder

F = np.float32


def objects(words):
    out = np.empty(len(words), object)
    out[:] = words
    return out


def encode(encoder, numbers, words=()):
    """Encoded columns of raw columns in the encoder's order."""
    rows = len(numbers[0]) if len(numbers) else len(words[0])
    raw = np.stack([np.asarray(n, F) for n in numbers], axis=1) if len(numbers) else np.zeros((rows, 0), F)
    codes = encoder.codes([objects(list(w)) for w in words]) if len(words) else np.zeros((rows, 0), np.int32)
    return encoder.encode(raw, codes)


@pytest.fixture
def numbers():
    rng = np.random.default_rng(0)
    gaps = rng.normal(50, 7, 200)
    gaps[rng.integers(0, 200, 30)] = np.nan
    return {"plain": rng.normal(3, 2, 200).astype(F), "gaps": gaps.astype(F), "skewed": rng.exponential(1000, 200).astype(F)}


def test_medians_means_and_deviations_are_those_of_pandas(numbers):
    encoder = fit_encoder(numbers, [], {})
    frame = pd.DataFrame(numbers).astype(float)
    assert np.allclose(encoder.median, frame.median(), rtol=1e-6)
    assert np.allclose(encoder.center, frame.mean(), rtol=1e-6)
    assert np.allclose(1 / encoder.scale, frame.std(ddof=0), rtol=1e-5)


def test_columns_are_standardised_filled_and_clipped(numbers):
    encoder = fit_encoder(numbers, [], {})
    encoded = encode(encoder, list(numbers.values()))
    frame = pd.DataFrame(numbers).astype(float)
    expected = ((frame.fillna(frame.median()) - frame.mean()) / frame.std(ddof=0)).clip(-5, 5).to_numpy()
    assert np.abs(encoded[:, :3] - expected).max() < 1e-5
    assert encoded[:, :3].max() == 5  # the exponential's tail


def test_the_order_of_the_encoded_columns_is_values_waves_ranks_flags_words(numbers):
    encoder = fit_encoder(numbers, ["skewed"], {"w": objects(["a", "b"] * 100)})
    owners = encoder.owners()
    assert owners == ["plain", "gaps", "skewed", *["skewed"] * 6, "plain", "gaps", "skewed", "gaps", "w", "w"]
    assert encoder.width == len(owners) == encode(encoder, list(numbers.values()), [["a"] * 200]).shape[1]


def test_the_rank_twin_of_few_values_is_the_normal_score_of_the_mid_rank():
    column = np.array([1, 1, 1, 2, 5, 5, 9, 9, 9, 9], F)
    encoder = fit_encoder({"x": column}, [], {})
    expected = norm.ppf((rankdata(column) - 0.5) / len(column))  # average ranks: ties share one score
    assert np.allclose(encode(encoder, [column])[:, 1], expected, atol=1e-5)


def test_the_rank_twin_of_many_values_is_nearly_normal_and_monotone():
    rng = np.random.default_rng(1)
    column = np.exp(rng.normal(0, 2, 400)).astype(F)
    encoder = fit_encoder({"x": column}, [], {})
    rank = encode(encoder, [column])[:, 1]
    expected = norm.ppf((rankdata(column) - 0.5) / 400)
    assert np.abs(rank - expected)[np.abs(expected) < 1.6].max() < 0.1  # the ends are long and straight
    assert shapiro(rank).statistic > 0.98
    assert shapiro(column).statistic < 0.6
    grid = np.linspace(-10, float(column.max()) * 2, 3000).astype(F)
    assert (np.diff(encode(encoder, [grid])[:, 1]) >= 0).all()
    assert (np.diff(encoder.rank_knots) >= 0).all()
    assert encoder.rank_knots.shape == (1, KNOTS)


def test_the_rank_twin_of_a_column_with_a_heavy_tie():
    column = np.concatenate([np.zeros(300), np.arange(1, 101)]).astype(F)
    encoder = fit_encoder({"x": column}, [], {})
    rank = encode(encoder, [column])[:, 1]
    assert np.allclose(rank[:300], norm.ppf(150 / 400), atol=1e-5)
    assert rank[-1] == pytest.approx(norm.ppf(399.5 / 400), abs=1e-4)


def test_a_column_of_two_values_gets_no_rank_twin():
    encoder = fit_encoder({"x": np.array([0, 1, 0, 1], F)}, [], {})
    assert encoder.width == 1


def test_values_beyond_the_knots_keep_the_rank_of_the_ends():
    encoder = fit_encoder({"x": np.arange(50, dtype=F)}, [], {})
    ends = encode(encoder, [[0, 49, -1e30, 1e30, -np.inf, np.inf]])[:, 1]
    assert ends[0] == ends[2] == ends[4]
    assert ends[1] == ends[3] == ends[5]


def test_gaps_take_the_median_and_raise_a_flag(numbers):
    encoder = fit_encoder(numbers, [], {})
    row = encode(encoder, [[0], [np.nan], [0]])[0]
    median = np.nanmedian(numbers["gaps"])
    same = encode(encoder, [[0], [median], [0]])[0]
    assert row[-1] == 1
    assert same[-1] == 0
    assert np.array_equal(row[:-1], same[:-1])


def test_only_columns_with_some_gaps_get_a_flag():
    none, some, all_ = np.arange(6, dtype=F), np.array([1, np.nan, 3, 4, 5, 6], F), np.full(6, np.nan, F)
    encoder = fit_encoder({"none": none, "some": some, "all": all_}, [], {})
    assert encoder.flag_column.tolist() == [1]


def test_constant_and_empty_columns_are_zero_whatever_stands_there():
    columns = {"constant": np.full(8, 7, F), "empty": np.full(8, np.nan, F), "both": np.array([7, np.nan] * 4, F)}
    encoder = fit_encoder(columns, [], {})
    encoded = encode(encoder, [[7, 8, np.nan], [np.nan, 3, -2], [7, np.nan, 12]])
    assert np.abs(encoded[:, :3]).max() < 1e-6
    assert encoded[:, 3].tolist() == [0, 1, 0]


def test_infinities_count_in_no_statistic_and_are_clipped():
    clean = np.arange(10, dtype=F)
    dirty = np.concatenate([clean, [np.inf, -np.inf]]).astype(F)
    encoder, reference = fit_encoder({"x": dirty}, [], {}), fit_encoder({"x": clean}, [], {})
    assert encoder.center == reference.center
    assert encoder.scale == reference.scale
    assert encoder.median == reference.median
    assert np.array_equal(encoder.rank_knots, reference.rank_knots)
    assert encode(encoder, [dirty])[-2:, 0].tolist() == [5, -5]


EXTREMES = [0, -0.0, 1e-45, -1e-38, 1, 3.4e38, -3.4e38, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize(
    "column",
    [
        pytest.param(np.linspace(-1, 1, 12), id="plain"),
        pytest.param(np.full(12, 4.0), id="constant"),
        pytest.param(np.full(12, np.nan), id="empty"),
        pytest.param([4.0] * 10 + [np.inf, -np.inf], id="constant and infinite"),
        pytest.param([np.inf] * 12, id="infinite"),
        pytest.param([np.inf, -np.inf, np.nan] * 4, id="infinite and missing"),
        pytest.param([3.4e38, -3.4e38, 0, 1] * 3, id="huge"),
        pytest.param(np.arange(12) * 1e-40, id="denormal"),
        pytest.param([0] * 4 + [1e-42] * 4 + [1] * 4, id="almost tied"),
        pytest.param(1e8 + np.arange(12), id="far from zero"),
    ],
)
@pytest.mark.parametrize("date", [False, True])
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_any_float32_is_encoded_without_nan(column, date):
    column = np.asarray(column, F)
    encoder = fit_encoder({"x": column}, ["x"] if date else [], {})
    for field in ("median", "center", "scale", "rank_knots", "rank_values"):
        assert np.isfinite(getattr(encoder, field)).all(), field
    for cells in (column, np.array(EXTREMES, F)):
        encoded = encode(encoder, [cells])
        assert np.isfinite(encoded).all()
        assert np.abs(encoded).max(initial=0) <= 5


def wave_of(days, period, phase, encoder, place):
    """A standardised wave, in float64."""
    raw = np.sin(2 * math.pi * (days.astype(float) / period + phase))
    return np.clip((raw - encoder.center[place]) * encoder.scale[place], -5, 5)


def test_dates_get_waves_of_the_year_and_the_week():
    days = np.arange(18_000, 18_800).astype(F)
    encoder = fit_encoder({"when": days}, ["when"], {})
    assert encoder.wave_column.tolist() == [0] * 4
    waves = encode(encoder, [days])[:, 1:5]
    for place, (period, phase) in enumerate([(YEAR_DAYS, 0), (YEAR_DAYS, 0.25), (7, 0), (7, 0.25)]):
        assert np.abs(waves[:, place] - wave_of(days, period, phase, encoder, 1 + place)).max() < 0.02, place
    # A weekday looks like itself a week on, and like no other.
    week = waves[:, 2:]
    assert np.abs(week[7:] - week[:-7]).max() < 0.02
    for other in range(1, 7):
        assert np.abs(week[other:] - week[:-other]).max(1).min() > 0.5


def test_dates_with_a_time_get_waves_of_the_day_too():
    days = (18_000 + np.arange(960) / 24).astype(F)
    encoder = fit_encoder({"when": days}, ["when"], {})
    assert encoder.wave_column.tolist() == [0] * 6
    waves = encode(encoder, [days])[:, 5:7]
    for place, phase in enumerate((0, 0.25)):
        assert np.abs(waves[:, place] - wave_of(days, 1, phase, encoder, 5 + place)).max() < 0.05


def test_whole_days_have_no_wave_of_rounding():
    """sin(2 pi n) of a float32 is rounding alone, which standardising would blow up to a column of noise."""
    rng = np.random.default_rng(0)
    days = rng.integers(10_000, 20_000, 300).astype(F)
    days[::7] = np.nan
    encoder = fit_encoder({"when": days}, ["when"], {})
    encoded = encode(encoder, [days])
    near = encode(encoder, [days * np.float32(1 + 1e-7)])
    assert np.abs(encoded - near).max() < 0.05


def test_missing_dates_stay_finite():
    days = np.array([18_000, 18_100, np.nan, 18_300, 18_400, np.nan], F)
    encoder = fit_encoder({"when": days}, ["when"], {})
    assert np.isfinite(encode(encoder, [days])).all()
    assert encoder.flag_column.tolist() == [0]


def test_the_vocabulary_is_the_words_seen_twice_commonest_first():
    column = ["b"] * 3 + ["a"] * 3 + ["c"] * 5 + ["once"] + [""] * 9 + ["Ü x"] * 2
    encoder = fit_encoder({}, [], {"w": objects(column)})
    assert encoder.vocabularies == (("c", "a", "b", "Ü x"),)


def test_the_vocabulary_holds_at_most_256_words():
    rng = np.random.default_rng(3)
    column = [f"w{int(i)}" for i in rng.exponential(150, 6000)]
    encoder = fit_encoder({}, [], {"w": objects(column)})
    counts = Counter(column)
    expected = sorted((w for w, n in counts.items() if n >= 2), key=lambda w: (-counts[w], w))[:VOCABULARY]
    assert len(expected) == VOCABULARY
    assert encoder.vocabularies == (tuple(expected),)


def test_words_are_one_hot_and_unknown_ones_all_zeros():
    encoder = fit_encoder({}, [], {"w": objects(["a", "a", "b", "b", "z"]), "v": objects(["x"] * 5)})
    encoded = encode(encoder, [], [["b", "a", "z", "", "nie gesehen"], ["x", "y", "x", "x", ""]])
    assert encoded.tolist() == [[0, 1, 1], [1, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 0]]


def test_a_word_column_without_repeats_has_no_encoded_column():
    encoder = fit_encoder({"x": np.arange(4, dtype=F)}, [], {"w": objects(list("abcd"))})
    assert encoder.vocabularies == ((),)
    assert encode(encoder, [[1, 2]], [["a", "b"]]).shape == (2, encoder.width) == (2, 2)
