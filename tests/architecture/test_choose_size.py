"""The Model Generator's choice: the smallest size that held-out rows can't tell from the best, computed here by hand."""

from __future__ import annotations

import statistics
from dataclasses import replace

import numpy as np
import pytest

from modelgpt_edge.architecture.architecture import Architecture, Size
from modelgpt_edge.architecture.choice import choose_size, describe

# Bytes fall with the size.
SHAPES = ((1280, 900), (640, 500), (160, 200), (40, 90), (0, 20))
MOST, MORE, MIDDLE, SMALL, NONE = (units for units, _ in SHAPES)
Losses = dict[int, np.ndarray]


def sizes(*too_large: int) -> list[Size]:
    """The sizes of `SHAPES`; those of the bytes given break a limit."""
    return [
        Size(Architecture("mlp", units, 4, size, 10 * size), {}, "too large" if size in too_large else "")
        for units, size in SHAPES
    ]


def picked(chosen: list[Size]) -> list[int]:
    return [size.architecture.bytes for size in chosen]


def shifted(
    middle: float = 1.0,
    small: float = 1.0,
    none: float = 1.0,
    most: float = 0.0,
    rows: int = 100,
    noise: float = 0.1,
    common: float = 0.0,
) -> Losses:
    """Losses whose paired differences to those of 640 units have exactly the mean given and deviation `noise`.

    Args:
        most: of twice the units; where nil, both have the same losses to the bit.
        common: deviation of what all sizes find hard.
    """
    rng = np.random.default_rng(0)
    base = rng.normal(1.0, 0.01, rows) + common * rng.normal(size=rows)
    losses = {MOST: base, MORE: base}
    for size, mean in ((MOST, most), (MIDDLE, middle), (SMALL, small), (NONE, none)):
        wiggle = rng.normal(size=rows)
        if size != MOST or most:
            losses[size] = base + mean + noise * (wiggle - wiggle.mean()) / wiggle.std()
    return losses


def standard_error(losses: Losses, size: int) -> float:
    """Of the mean difference to 640 units, by the textbook."""
    pairs = [float(a - b) for a, b in zip(losses[size], losses[MORE])]
    return statistics.pstdev(pairs) / len(pairs) ** 0.5


def test_the_smallest_within_one_standard_error_of_the_best_is_chosen_first():
    # The standard error of a difference is 0.1 / sqrt(100) = 0.01.
    losses = shifted(0.005, 0.0099, 0.0101)
    assert standard_error(losses, SMALL) == pytest.approx(0.01)
    assert picked(choose_size(sizes(), losses)) == [90, 20]


@pytest.mark.parametrize(("by", "first"), [(0.0099, 20), (0.0101, 500)])
def test_one_standard_error_is_the_border(by, first):
    losses = shifted(none=by)
    assert picked(choose_size(sizes(), losses))[0] == first


def test_more_rows_tell_smaller_differences():
    assert picked(choose_size(sizes(), shifted(0.004, rows=100)))[0] == 200  # error 0.01
    assert picked(choose_size(sizes(), shifted(0.004, rows=2500)))[0] == 500  # error 0.002


def test_rows_are_paired_so_that_what_all_find_hard_blurs_nothing():
    losses = shifted(0.02, common=5.0)
    unpaired = float(np.hypot(losses[MIDDLE].std(), losses[MORE].std())) / 10
    assert unpaired / 20 > 0.02, "unpaired, the difference would be far within the error"
    assert picked(choose_size(sizes(), losses))[0] == 500


def test_the_best_that_fits_is_the_measure_not_the_best_of_all():
    losses = shifted(0.5, 0.505, 0.9)
    assert picked(choose_size(sizes(), losses))[0] == 500
    # With the largest ones out, 40 units are as good as 160 for all that can be told.
    losses[SMALL] = losses[MIDDLE] + 0.005 + 0.1 * (np.arange(100) % 2 - 0.5)
    assert picked(choose_size(sizes(900, 500), losses)) == [90, 20]


def test_of_equally_scored_sizes_the_smaller_is_taken():
    assert picked(choose_size(sizes(), shifted())) == [500, 200, 90, 20]


@pytest.mark.parametrize(("most", "first"), [(-0.0099, 500), (-0.0101, 900), (0.5, 500)])
def test_twice_the_units_are_taken_where_they_are_better_by_more_than_an_error(most, first):
    assert picked(choose_size(sizes(), shifted(most=most)))[0] == first


def test_what_twice_the_units_gain_counts_against_the_smaller_sizes_too():
    losses = shifted(middle=0.0, most=-0.02)
    assert picked(choose_size(sizes(), losses))[0] == 900
    assert picked(choose_size(sizes(900), losses))[0] == 200


def test_sizes_to_fall_back_on_fit_and_shrink():
    losses = shifted()
    assert picked(choose_size(sizes(900, 200), losses)) == [500, 90, 20]
    assert picked(choose_size(sizes(900, 500, 200, 90), losses)) == [20]


def test_a_smaller_size_that_is_better_is_the_best():
    losses = shifted(-0.2, 0.5, 0.5)
    assert picked(choose_size(sizes(), losses))[0] == 200


def test_equal_losses_take_the_smallest():
    same = np.random.default_rng(0).random(50)
    assert picked(choose_size(sizes(), dict.fromkeys((MOST, MORE, MIDDLE, SMALL, NONE), same))) == [20]


def test_one_row_tells_without_a_division_by_zero():
    losses = {size: np.array([loss]) for size, loss in zip((MOST, MORE, MIDDLE, SMALL, NONE), (0.2, 0.1, 0.2, 0.1, 0.3))}
    assert picked(choose_size(sizes(), losses))[0] == 90


def test_a_size_that_was_not_scored_is_neither_chosen_nor_fallen_back_on():
    losses = shifted(middle=0.0, most=-0.5)
    del losses[MOST]
    assert picked(choose_size(sizes(), losses)) == [200, 90, 20]
    del losses[SMALL]
    assert picked(choose_size(sizes(), losses)) == [200, 20]


def test_sizes_have_words():
    everything = sizes()
    assert [size.architecture.units for size in everything] == [MOST, MORE, MIDDLE, SMALL, NONE]
    assert describe(everything[0]) == "1,280 hidden units"
    assert describe(everything[-1]) == "the plain linear model"
    few = replace(everything[1].architecture, units=80, draws=1)
    assert describe(replace(everything[1], architecture=few)) == "80 hidden units"
