"""The space that heads of pictures are solved in: against the formula in float64, and its corner cases."""

from __future__ import annotations

import numpy as np
import pytest

from modelgpt_edge.architecture.image.scales import Scales
from modelgpt_edge.parameters.image.space import Space, Traits


@pytest.fixture
def channels() -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [draw.gamma(1.0, size=(7, 5)).astype(np.float32), draw.normal(3, [1, 5], size=(7, 2)).astype(np.float32)]


def by_hand(channels: list[np.ndarray], given: list[np.ndarray]) -> np.ndarray:
    """The definition, in float64."""
    last, stage = (c.astype(np.float64) for c in channels)
    asked_last, asked_stage = (c.astype(np.float64) for c in given)
    left = np.sqrt(asked_last) - np.sqrt(last).mean(0)
    deviation = stage.std(0)
    right = (asked_stage - stage.mean(0)) / (deviation + 0.1 * deviation.mean())
    parts = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in (left, right)]
    return np.concatenate([2 * parts[0], parts[1]], axis=1) / np.sqrt(5)


def test_it_is_what_its_definition_says(channels):
    space = Space.around(channels)
    assert space.width == 7
    np.testing.assert_allclose(space.of(channels), by_hand(channels, channels), atol=1e-6)
    others = [channels[0][:3] * 2, channels[1][:3] - 1]
    np.testing.assert_allclose(space.of(others), by_hand(channels, others), atol=1e-6)


def test_every_picture_has_length_one(channels):
    for given in (channels, channels[:1]):
        np.testing.assert_allclose(np.linalg.norm(Space.around(given).of(given), axis=1), 1, rtol=1e-6)


def test_stages_that_it_has_no_block_for_are_not_used(channels):
    last = Space.around(channels[:1])
    np.testing.assert_array_equal(last.of(channels), last.of(channels[:1]))


def test_without_pictures_nothing_is_taken_off(channels):
    space = Space.around([channels[0][:0]])
    root = np.sqrt(channels[0])
    np.testing.assert_allclose(space.of(channels), root / np.linalg.norm(root, axis=1, keepdims=True), rtol=1e-6)


def test_a_picture_that_lies_at_the_mean_and_channels_that_never_change_are_finite(channels):
    same = [np.repeat(c[:1], 4, axis=0) for c in channels]
    made = Space.around(same).of(same)
    assert np.isfinite(made).all()
    assert np.abs(made).max() < 1


def test_channels_that_may_be_negative_keep_their_sign(channels):
    moved = [channels[0] - 1, channels[1]]
    space = Space.around(moved, rooted=False)
    left = moved[0] - moved[0].mean(0)
    wanted = 2 / np.sqrt(5) * left / np.linalg.norm(left, axis=1, keepdims=True)
    np.testing.assert_allclose(space.of(moved)[:, : left.shape[1]], wanted, atol=1e-6)


def test_traits_say_which_space_it_is(channels):
    scales = Scales(np.array([1, 2, 1, 1, 3], np.float32), np.ones(5, np.float32))
    beside = Scales(np.ones(2, np.float32), np.ones(2, np.float32))
    for traits, space in (
        (Traits(), Space.around(channels)),
        (Traits(rooted=False), Space.around(channels, rooted=False)),
        (Traits(beside=beside), Space.around(channels, beside=beside)),
        (Traits(scales), Space.linear(channels[0], scales)),
    ):
        np.testing.assert_array_equal(traits.space(channels).of(channels), space.of(channels))


def test_a_trunk_beside_it_weighs_more_than_a_stage_and_less_than_the_last_layer(channels):
    draw = np.random.default_rng(1)
    trunk = draw.gamma(1.0, size=(7, 3)).astype(np.float32)
    beside = Scales(np.array([1, 1, 2], np.float32), np.array([0.5, 2, 1], np.float32))
    made = Space.around([channels[0], trunk, channels[1]], beside=beside).of([channels[0], trunk, channels[1]])
    lengths = [np.linalg.norm(part, axis=1) for part in np.split(made, [5, 8], axis=1)]
    total = np.sqrt(2**2 + 1.2**2 + 1)
    for length, weight in zip(lengths, (2, 1.2, 1)):
        np.testing.assert_allclose(length, weight / total, rtol=1e-5)
    rows = trunk.astype(np.float64)
    deviation = np.sqrt((7 * rows.var(0) + 10 * np.array([0.5, 2, 1]) ** 2) / 17)
    moved = (rows - rows.mean(0)) * [1, 1, 2] / (deviation + 0.1 * deviation.mean())
    wanted = moved / np.linalg.norm(moved, axis=1, keepdims=True) * 1.2 / total
    np.testing.assert_allclose(made[:, 5:8], wanted, atol=1e-6)


def test_few_pictures_are_scaled_as_is_usual_and_many_as_they_are():
    usual, own = np.array([1, 4], np.float32), np.random.default_rng(2).normal(0, [4, 1], (4000, 2))
    scales = Scales(np.ones(2, np.float32), usual)
    first, second = scales.of(np.repeat(own[:1], 2, axis=0))
    assert first / second == pytest.approx(4, rel=0.2)
    first, second = scales.of(own)
    assert first / second == pytest.approx(1 / 4, rel=0.2)
