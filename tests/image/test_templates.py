"""Which templates a task of pictures may have, and which of them is begun with."""

from __future__ import annotations

import numpy as np
import pytest

from modelgpt_edge.architecture.image.shape import LITE, Shape
from modelgpt_edge.architecture.image.template import SizedBackbone, TrunkTemplate
from modelgpt_edge.errors import BudgetError
from modelgpt_edge.limits import NO_LIMITS, Limits
from modelgpt_edge.parameters.image.choosing import clearly_better
from modelgpt_edge.picture_templates import Choice, find_templates, smallest_as_good
from modelgpt_edge.targets.registry import find_target

LITE0 = Shape.scaled(*LITE["EfficientNet-Lite0"])


def sizes(targets=("x86",), limits=NO_LIMITS, without=(), size=None, encoder=None):
    found = find_templates(encoder, size, without, [find_target(name) for name in targets], limits)
    return [template.size for template in found.templates], found


def test_without_limits_the_largest_comes_first_and_the_trunk_must_win_clearly(small_file):
    found, choice = sizes()
    assert found == [224, 32]
    assert (choice.first, choice.least) == (clearly_better, 2)
    assert sizes(encoder=str(small_file))[1].first is None


def test_a_class_without_pictures_leaves_out_the_trunk(small_file):
    assert sizes(encoder=str(small_file), without=["pink"])[0] == [224]
    assert sizes(encoder=str(small_file), without=["pink"], limits=Limits(latency_ms=9))[0] == [224, 128, 96]


def test_little_memory_leaves_out_large_inputs(small_file):
    shape = sizes(encoder=str(small_file))[1].templates[0].backbone.files.shape
    found, choice = sizes(encoder=str(small_file), limits=Limits(ram_bytes=shape.least_ram(128)))
    assert found == [128, 96, 32]
    assert (choice.first, choice.least) == (smallest_as_good, 5)


def test_where_storage_is_short_the_backbone_is_tried_without_the_trunk(small_file):
    least = sizes(encoder=str(small_file))[1].templates[0].backbone.files.shape.least_bytes
    for over, beside in ((900_000, [True, False, False]), (1_100_000, [True, False])):
        found, choice = sizes(encoder=str(small_file), limits=Limits(flash_bytes=least + over))
        assert found == ([224, 224, 32] if over < 1_000_000 else [224, 32])
        assert [template.beside is not None for template in choice.templates] == beside


@pytest.mark.parametrize(("generator", "found"), [("stages", [224, 224]), ("shapes", [224]), ("floor", [224, 224, 32])])
def test_a_generator_that_was_asked_for_leaves_out_what_cannot_serve_it(generator, found, small_file):
    limits = Limits(flash_bytes=LITE0.least_bytes + 900_000)
    choice = sizes(limits=limits)[1].able(generator)
    assert [template.size for template in choice.templates] == found


@pytest.mark.parametrize("target", ["cortex-m4", "cortex-m7"])
def test_a_microcontroller_gets_the_trunk_with_the_reason(target):
    found, choice = sizes(targets=("x86", target))
    assert found == [32]
    assert f"{LITE0.least_bytes:,} bytes at least" in choice.why


@pytest.mark.parametrize("options", [{"without": ["pink"]}, {"size": 128}], ids=["unseen class", "size asked for"])
def test_what_the_trunk_cannot_replace_is_over_the_budget(options):
    with pytest.raises(BudgetError):
        sizes(limits=Limits(flash_bytes=500_000), **options)


def test_least_sizes_of_the_published_network():
    # Tan and Le's Lite0 has 4.65 million parameters, 1.28 of them in the classifier; its widest maps follow the first
    # expansion: 96 channels of 112 x 112 that become 96 of 56 x 56.
    assert 4.6e6 < LITE0.least_bytes + 1_281_000 < 4.7e6
    assert LITE0.least_ram(224) == 96 * (112 * 112 + 56 * 56)


def test_of_templates_that_pictures_cannot_tell_apart_the_last_is_begun_with():
    draw = np.random.default_rng(0)
    best = draw.exponential(size=400)
    level = best + draw.normal(0, 0.5, 400) - draw.normal(0, 0.5, 400).mean()
    worse = best + 0.3
    assert smallest_as_good([best, level - level.mean() + best.mean(), worse]) == 1
    assert smallest_as_good([worse, best, worse + 1]) == 1
    assert smallest_as_good([worse, worse + 0.1, best]) == 2


@pytest.mark.parametrize(
    ("first", "losses", "place", "told"),
    [
        (clearly_better, (0.9, 0.2), 1, "Held-out pictures clearly favour the tiny trunk at 32 pixels: it is taken."),
        (clearly_better, (0.2, 0.9), 0, ""),
        (smallest_as_good, (0.5, 0.5), 1, "can't tell from the best is taken: the tiny trunk at 32 pixels."),
        (smallest_as_good, (0.2, 0.9), 0, "can't tell from the best is taken: small at 224 pixels."),
        (None, (0.9, 0.2), 0, ""),
    ],
)
def test_the_reason_says_which_rule_chose(first, losses, place, told, small):
    trunk = TrunkTemplate.shipped()
    choice = Choice((SizedBackbone(small, 224, trunk), trunk), "", first)
    found, why = choice.begin([np.full(12, loss, np.float32) for loss in losses])
    assert found == place
    assert why.endswith(told)
    assert bool(why) == bool(told)


def test_a_trunk_that_is_level_is_named_where_pictures_are_many(small):
    trunk = TrunkTemplate.shipped()
    choice = Choice((SizedBackbone(small, 224, trunk), trunk), "", clearly_better)
    noise = np.random.default_rng(0).normal(0, 0.3, 60)
    noise -= noise.mean()
    place, why = choice.begin([np.full(60, 0.5), 0.51 + noise])
    assert (place, "can't tell the tiny trunk at 32 pixels alone from small at 224 pixels" in why) == (0, True)
    assert choice.begin([np.full(60, 0.5), 0.6 + noise]) == (0, "")
    few = noise[:20] - noise[:20].mean()
    assert choice.begin([np.full(20, 0.5), 0.51 + few]) == (0, "")


def test_the_trunk_wins_by_more_than_a_standard_error_or_not_at_all():
    draw = np.random.default_rng(1)
    backbone = draw.exponential(size=400)
    noise = draw.normal(0, 0.5, 400)
    noise -= noise.mean()
    error = noise.std() / 20
    assert clearly_better([backbone, backbone + noise - 2 * error]) == 1
    assert clearly_better([backbone, backbone + noise - 0.5 * error]) == 0
    assert clearly_better([backbone, backbone + 0.1]) == 0
